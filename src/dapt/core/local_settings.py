"""dapt.local.yaml: settings of this machine or person, which git does not track and which decide no byte."""

from pathlib import Path
from typing import Literal

from dapt.core import config
from dapt.core.config import Settings

PATH = Path("dapt.local.yaml")


class LocalSettings(Settings):
    track: Literal["tensorboard", "wandb", "mlflow"] | None = None  # where a training's curves go as well


def load(path: Path = PATH) -> LocalSettings:
    """What the file says; where there is none, nothing is set."""
    if not path.is_file():
        return LocalSettings()
    return config.parse(path.read_text(encoding="utf-8") or "{}", str(path), LocalSettings)
