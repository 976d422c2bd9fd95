"""slurm/cluster.yaml as it is committed, and with other values."""

from pathlib import Path

from ruamel.yaml import YAML

from dapt.core import config
from dapt.launch.cluster import Cluster
from repositories import committed_text

SETTINGS = config.parse(committed_text("slurm/cluster.yaml"), "slurm/cluster.yaml", Cluster)


def with_(**values: object) -> Cluster:
    return Cluster.model_validate(SETTINGS.model_dump(exclude_unset=True) | values)


def change_group(folder: Path, group: str, setup: tuple[str, ...] = (), **settings: object) -> None:
    """Other values of a group in a repository's file, and lines of bash that each node runs first."""
    path, yaml = folder / "slurm/cluster.yaml", YAML()
    values = yaml.load(path.read_text())
    values["setup"] = list(setup)
    values["groups"][group] |= settings
    with open(path, "w") as file:
        yaml.dump(values, file)
