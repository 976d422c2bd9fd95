"""dapt.local.yaml: settings of this machine or person. Git does not track them, and they change no result."""

from pathlib import Path
from typing import Literal

from dapt.core import config
from dapt.core.config import Settings

PATH = Path("dapt.local.yaml")


class LocalSettings(Settings):
    track: Literal["tensorboard", "wandb", "mlflow"] | None = None  # where training curves are logged as well


def load(path: Path = PATH) -> LocalSettings:
    """The settings in the file; without one, nothing is set."""
    if not path.is_file():
        return LocalSettings()
    return config.parse(path.read_text(encoding="utf-8") or "{}", str(path), LocalSettings)
