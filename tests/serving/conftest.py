"""What is served to the tests: a repository with small models, and a server of it."""

import shutil
from pathlib import Path

import pytest

from repositories import committed_files
from sentences import sentences
from server import Server


@pytest.fixture(scope="session")
def served(tmp_path_factory, fine_tuned, model_folder) -> Path:
    """A repository with four encoders and a model of each kind of task."""
    folder = committed_files(tmp_path_factory.mktemp("served"), "params.yaml", "profiles", "dvc.yaml", "metrics")
    shutil.copytree(fine_tuned / "models", folder / "models")
    for name in ("finance", "biomed_finance"):
        shutil.copytree(model_folder, folder / "models" / name)
    return folder


@pytest.fixture(scope="session")
def server(served):
    with Server(served) as running:
        yield running


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Of many lengths."""
    return sentences(30, seed=5) + sentences(3, seed=6, longest=40)
