"""Files and folders that the user puts into data/local."""

from pathlib import Path

from dapt.core.config import Local
from dapt.core.files import sha256
from dapt.telling.errors import UserError


class Missing(UserError):
    """Files that the user must provide are missing."""


def names(local: Local) -> list[str]:
    """The files in a folder that the user provided, as paths relative to it."""
    folder = Path(local.folder)
    if not folder.is_dir():
        raise Missing(
            f"no such folder: {folder}; get it from {local.ask} and put it there, or correct local.folder in the settings"
        )
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def on_disk(local: Local, files: list[str]) -> list[Path]:
    """The files and folders that the user provided; a missing one, or one with another hash, is refused."""
    paths = [Path(local.folder) / file for file in files]
    for number, path in enumerate(paths):
        if not path.exists():
            raise Missing(
                f"no such file or folder: {path}; get it from {local.ask} and put it there, or correct files in the settings"
            )
        if local.sha256 and (found := sha256(path)) != local.sha256[number]:
            raise UserError(
                f"{path} has sha256 {found}, but the settings say {local.sha256[number]}; put the right file "
                "there, or correct sha256 in the settings"
            )
    return paths
