"""The typed settings of slurm/cluster.yaml, where each value is documented."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dapt.core import config
from dapt.core.config import Count, Name, Number, Settings
from dapt.core.paths import CLUSTER, repeated
from dapt.telling.errors import UserError

Memory = Annotated[str, Field(pattern=r"^\d+[KMGT]?$")]
Time = Annotated[str, Field(pattern=r"^(\d+-)?\d+(:\d\d){0,2}$")]
Partitions = Annotated[list[Name], Field(min_length=1)]
Sent = Literal["fetch", "clean", "validate", "split", "tokenize", "base", "train", "evaluate", "finetune"]


class Group(Settings):
    """Stages that run through Slurm, and what their jobs request instead of the general values."""

    stages: list[Sent]
    partitions: Partitions | None = None
    nodes: Count | None = None
    gpus: Number | None = None
    constraint: str | None = None
    cpus: Count | None = None  # per node; None: the number of threads of the stage
    memory: Memory | None = None
    time: Time | None = None
    options: list[str] | None = None

    def own(self) -> dict[str, object]:
        """The values that are set in this group, including `constraint: null`."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"stages"}}
        return {name: value for name, value in given.items() if value is not None or name == "constraint"}

    @model_validator(mode="after")
    def one_process(self) -> Self:
        wide = next((name for name in ("nodes", "gpus") if (getattr(self, name) or 0) > 1), None)
        if wide and (single := next((stage for stage in self.stages if stage != "train"), None)):
            raise ValueError(
                f"{wide} is {getattr(self, wide)}, but {single} runs as a single process; "
                "set it to 1, or move train to its own group"
            )
        if self.cpus and "train" in self.stages:
            raise ValueError("cpus: a training uses train.threads CPUs per GPU; remove cpus from the group with train")
        return self


class Cluster(Settings):
    launcher: Literal["local", "slurm"]
    partitions: Partitions
    nodes: Count
    gpus: Number  # per node
    constraint: str | None
    cpus: Count | None = None
    memory: Memory  # per node
    time: Time
    leave_before: Count  # seconds
    restarts_without_progress: Number
    setup: list[str]
    environment: dict[str, str]
    options: list[str]
    groups: dict[Name, Group]

    @model_validator(mode="after")
    def each_stage_once(self) -> Self:
        if twice := repeated([stage for group in self.groups.values() for stage in group.stages]):
            raise ValueError(f"groups: {twice} is in two groups; remove it from one")
        return self

    def for_stage(self, stage: str) -> "Cluster | None":
        """What the jobs of a stage request; None if it is in no group and so runs on this machine."""
        group = next((group for group in self.groups.values() if stage in group.stages), None)
        if group is None:
            return None
        alone = {} if stage == "train" else {"nodes": 1, "gpus": min(self.gpus, 1)}
        return self.model_copy(update=alone | group.own() | {"groups": {}})

    def every_partition(self) -> list[str]:
        """The partitions of all groups, each once, in order."""
        parts = (group.partitions for group in self.groups.values() if group.partitions)
        return list(dict.fromkeys([*self.partitions, *(name for part in parts for name in part)]))


def load(path: Path = CLUSTER) -> Cluster | None:
    """The settings, or None if the repository has no such file."""
    return config.parse(path.read_text(encoding="utf-8"), str(path), Cluster) if path.is_file() else None


def through_slurm(
    stage: str, asked: str | None, settings: Cluster | None, partition: str | None = None
) -> Cluster | None:
    """What a stage requests from Slurm, if that is the launcher; None if the stage runs on this machine."""
    return settings.for_stage(stage) if launcher(asked, settings, partition) == "slurm" and settings else None


def launcher(asked: str | None, settings: Cluster | None, partition: str | None = None) -> str:
    """local or slurm: from DAPT_LAUNCHER (`asked`), else from slurm/cluster.yaml, else local. local has no partitions."""
    if asked and asked not in ("local", "slurm"):
        raise UserError(f"DAPT_LAUNCHER is {asked!r}; set it to local or slurm")
    if asked == "slurm" and settings is None:
        raise UserError(
            f"there is no {CLUSTER}, which defines what to request from Slurm; restore it, for example with git checkout"
        )
    chosen = asked or (settings.launcher if settings else "local")
    if partition and chosen == "local":
        raise UserError("--partition works only with Slurm, but the launcher is local; set DAPT_LAUNCHER=slurm")
    return chosen
