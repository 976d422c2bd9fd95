"""slurm/cluster.yaml as it is committed, and with other values."""

from dapt.core import config
from dapt.launch.cluster import Cluster
from repositories import committed_text

SETTINGS = config.parse(committed_text("slurm/cluster.yaml"), "slurm/cluster.yaml", Cluster)


def with_(**values: object) -> Cluster:
    return Cluster.model_validate(SETTINGS.model_dump() | values)
