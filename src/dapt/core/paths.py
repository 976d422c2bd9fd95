"""Where everything lies, relative to the repository's root: the one place that says so."""

import os
from pathlib import Path

from dapt.telling.events import Events

PARAMS = Path("params.yaml")
CHECKED = Path("data/checked")
RAW = Path("data/raw")
RAW_MODEL = RAW / "model"
PROCESSED = Path("data/processed")
SPLIT = Path("data/split")
TOKENS = Path("data/tokens")
MODELS = Path("models")
CURVES = Path("data/curves")
LOSSES = Path("data/eval")
METRICS = Path("metrics")
REPORTS = Path("reports")
LOGS = Path("logs")
CLUSTER = Path("slurm/cluster.yaml")


def events_file(stage: str, name: str) -> Path:
    """Where the events of a stage are written: the file that DAPT_EVENTS names, else one in logs/."""
    return Path(os.environ.get("DAPT_EVENTS") or LOGS / f"{'-'.join(filter(None, (stage, name)))}.jsonl")


def events_of(stage: str, name: str = "") -> Events:
    """The events of a stage, in their file."""
    return Events(events_file(stage, name), stage, name)


def repository(start: Path) -> Path | None:
    """The nearest folder upwards from `start` that holds a dvc.yaml."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / "dvc.yaml").is_file()), None)
