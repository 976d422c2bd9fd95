"""slurm/cluster.yaml, typed: what each value is for stands there."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from dapt.core import config
from dapt.core.config import Count, Name, Number, Settings
from dapt.core.paths import CLUSTER
from dapt.telling.errors import UserError

Memory = Annotated[str, Field(pattern=r"^\d+[KMGT]?$")]
Time = Annotated[str, Field(pattern=r"^(\d+-)?\d+(:\d\d){0,2}$")]


class Stages(Settings):
    stages: list[Literal["fetch", "clean", "validate", "split", "tokenize"]]
    partition: Name
    cpus: Count
    memory: Memory
    time: Time


class Cluster(Settings):
    launcher: Literal["local", "slurm"]
    partitions: Annotated[list[Name], Field(min_length=1)]
    nodes: Count
    gpus: Number  # a node
    constraint: str | None
    memory: Memory  # a node
    time: Time
    leave_before: Count  # seconds
    restarts_without_progress: Number
    setup: list[str]
    environment: dict[str, str]
    options: list[str]
    cpu: Stages

    def for_stages(self) -> "Cluster":
        """The same cluster for stages that need no GPU."""
        return self.model_copy(
            update={
                "partitions": [self.cpu.partition],
                "nodes": 1,
                "gpus": 0,
                "constraint": None,
                "memory": self.cpu.memory,
                "time": self.cpu.time,
            }
        )


def load(path: Path = CLUSTER) -> Cluster | None:
    """The settings, or None where a repository has none."""
    return config.parse(path.read_text(encoding="utf-8"), str(path), Cluster) if path.is_file() else None


def through_slurm(asked: str | None, settings: Cluster | None, partition: str | None = None) -> Cluster | None:
    """The settings where Slurm is the launcher, None where it is this machine."""
    return settings if launcher(asked, settings, partition) == "slurm" else None


def launcher(asked: str | None, settings: Cluster | None, partition: str | None = None) -> str:
    """local or slurm: as DAPT_LAUNCHER (`asked`) says, else slurm/cluster.yaml, else local, which has no partitions."""
    if asked and asked not in ("local", "slurm"):
        raise UserError(f"DAPT_LAUNCHER is {asked!r}; set it to local or slurm")
    if asked == "slurm" and settings is None:
        raise UserError(f"there is no {CLUSTER}, which says what to ask Slurm for; take it from the project")
    chosen = asked or (settings.launcher if settings else "local")
    if partition and chosen == "local":
        raise UserError("--partition is for Slurm, and the launcher is local; set DAPT_LAUNCHER=slurm")
    return chosen
