"""The files of an origin on this machine, verified."""

import shutil
from pathlib import Path

from dapt.core.config import Origin
from dapt.sources import local, package


def fetch(origin: Origin, folder: Path) -> None:
    """Put the files of one origin into `folder`, flat, under their own names."""
    if origin.package:
        package.read_files(origin.package, origin.files, folder)
    else:
        for path in on_disk(origin):
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, folder / path.name)


def on_disk(origin: Origin) -> list[Path]:
    """The files of a hub repository, in the hub's cache, or the files and folders that the user brought; verified."""
    if origin.local:
        return local.on_disk(origin.local, origin.files)
    from dapt.sources.hub import download  # the client takes a while to import, and a package does without it

    assert origin.hub is not None  # an origin has one of package, hub and local
    return download(origin.hub, origin.files)
