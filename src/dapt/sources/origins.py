"""The files of an origin on this machine, verified."""

import shutil
from pathlib import Path

from dapt.core.config import Origin
from dapt.core.files import sha256
from dapt.core.paths import below
from dapt.sources import local, package
from dapt.sources.layout import model_files
from dapt.sources.package import Place
from dapt.telling.errors import UserError


def fetch(origin: Origin, folder: Path, place: Place = below) -> list[str]:
    """Copy the files of one origin into `folder` and return their paths there, which `place` decides. The hash of each copy
    is compared with that of the original."""
    if origin.package:
        return package.read_files(origin.package, origin.files, folder, place)
    files = named_files(origin)
    names = place(files)
    for path, name in zip(on_disk(origin, files), names, strict=True):
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copy)
        if sha256(path) != sha256(copy):
            raise UserError(f"{copy} differs from {path}: it was damaged or changed while it was copied; run again")
    return names


def named_files(origin: Origin) -> list[str]:
    """The files of an origin that is not a package, with `auto` replaced by the files found."""
    if origin.files != "auto":
        return origin.files
    if origin.local:
        return model_files(local.names(origin.local), origin.local.folder)
    from dapt.sources.hub import names

    assert origin.hub is not None  # an origin has one of package, hub and local
    return model_files(names(origin.hub), origin.hub.repo)


def on_disk(origin: Origin, files: list[str]) -> list[Path]:
    """The files of a hub repository, in the hub's cache, or the files and folders that the user provided; verified."""
    if origin.local:
        return local.on_disk(origin.local, files)
    from dapt.sources.hub import download  # the client takes a while to import, and a package does not need it

    assert origin.hub is not None  # an origin has one of package, hub and local
    return download(origin.hub, files)
