"""The requirements files of the project, by their lines."""

import re

from repositories import ROOT

FILES = sorted(path.name for path in ROOT.glob("requirements*.txt"))


def canonical(name: str) -> str:
    """How package indexes compare names: `huggingface_hub` is `huggingface-hub`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(name: str) -> dict[str, str]:
    """The lines of one file by the packages they name, without comments; not those of the files that it includes."""
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    return {canonical(re.split(r"[<>=!~ \[;@]", line)[0]): line for line in lines if line and not line.startswith("-r")}
