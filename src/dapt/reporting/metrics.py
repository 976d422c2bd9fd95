"""The figures in metrics/ that the report, its data card and its model cards are made from, read once."""

from dataclasses import dataclass
from pathlib import Path

from dapt.core.config import Params
from dapt.core.files import numbers, read_json


@dataclass(frozen=True)
class Figures:
    """The contents of metrics/, by file or folder."""

    comparison: dict
    mistakes: dict
    split: dict
    validate: dict
    base: dict
    clean: dict[str, dict]
    train: dict[str, dict]
    eval: dict[str, dict]
    tasks: dict[str, dict[str, dict]]

    @classmethod
    def read(cls, params: Params, metrics: Path) -> "Figures":
        files = ("comparison", "mistakes", "split", "validate", "base")
        found = {name: read_json(metrics / f"{name}.json") for name in files}
        folders = {name: numbers(metrics / name) for name in ("clean", "train", "eval")}
        tasks = {task: numbers(metrics / "tasks" / task) for task in params.tasks}
        return cls(**found, **folders, tasks=tasks)
