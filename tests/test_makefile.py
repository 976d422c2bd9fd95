"""Which Python `make` takes for the environment."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from repositories import ROOT, committed_files


def pythons(folder: Path, versions: dict[str, str]) -> Path:
    """A folder with interpreters that take themselves for these versions."""
    folder.mkdir()
    for name, version in versions.items():
        fake = f"import sys; sys.version_info = ({version.replace('.', ', ')}, 0, 'final', 0); exec(sys.argv[1])"
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} -c "{fake}" "$2"\n')
        (folder / name).chmod(0o755)
    return folder


def make(folder: Path, versions: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    """What `make` would do for the environment, with these interpreters in PATH and no others."""
    committed_files(folder, "Makefile", "pyproject.toml", "requirements.txt", "requirements-dvc.txt")
    path = {"PATH": str(pythons(folder / "bin", versions))}
    command = [str(shutil.which("make")), "-n", ".venv/ready", *arguments]
    return subprocess.run(command, cwd=folder, env=path, capture_output=True, text=True)


@pytest.mark.parametrize(
    "versions, taken",
    [
        ({"python3": "3.9", "python3.13": "3.13"}, "python3.13"),
        ({"python3": "3.15", "python3.14": "3.14", "python3.12": "3.12"}, "python3.12"),
        ({"python3": "3.11"}, "python3"),
        ({"python3.11": "3.9", "python3": "3.12"}, "python3"),
    ],
)
def test_make_takes_the_first_python_that_suits(tmp_path, versions, taken):
    assert make(tmp_path, versions).stdout.replace("\\\n", "").split()[:3] == [taken, "-m", "venv"]


def test_make_takes_the_python_that_it_is_given(tmp_path):
    assert make(tmp_path, {"python3": "3.12"}, "PYTHON=/other/python3").stdout.startswith("/other/python3 ")


@pytest.mark.parametrize("versions", [{}, {"python3": "3.9"}, {"python3": "3.15"}])
def test_make_says_in_one_line_which_python_it_needs(tmp_path, versions):
    done = make(tmp_path, versions)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no Python from 3.11 to 3.14 is on PATH" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.14", "3.15"])
def test_make_takes_the_versions_that_pyproject_allows(tmp_path, version):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = version in SpecifierSet(project["requires-python"])
    assert (make(tmp_path, {"python3": version}).returncode == 0) == allowed
