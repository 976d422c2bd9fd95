"""A finished toy of the pipeline, in which a test can run a stage again."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture()
def workspace(finished, tmp_path, monkeypatch) -> Path:
    """A copy of the finished repository's settings, data, models and figures, in which the test stands."""
    folder = tmp_path / "workspace"
    for name in ("data", "metrics", "models", "profiles"):
        shutil.copytree(finished / name, folder / name)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(finished / name, folder)
    monkeypatch.chdir(folder)
    return folder
