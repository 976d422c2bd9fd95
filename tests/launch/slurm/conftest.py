import os
import subprocess
from pathlib import Path

import pytest

from repositories import committed_files, ground_in
from slurm_cluster import missing, running_cluster
from slurm_runs import DAPT, Run


@pytest.fixture(scope="session")
def cluster():
    if why := missing():
        pytest.skip(why)
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def rested(cluster):
    """Each test begins on idle nodes, whatever the one before left behind."""
    cluster.rest()


@pytest.fixture(scope="session")
def ground(cluster, tmp_path_factory, model_folder, tokens, special) -> Path:
    """Ready to train, long enough to be interrupted."""
    folder = ground_in(
        tmp_path_factory.mktemp("slurm"),
        model_folder,
        tokens,
        special,
        {"train.steps": 1500, "train.valid_every": 500, "train.save_every": 20, "train.keep": []},
    )
    return committed_files(folder, "slurm/cluster.yaml")


@pytest.fixture(scope="session")
def alone(ground, tmp_path_factory) -> Path:
    """Trained on this machine, without Slurm and uninterrupted."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    subprocess.run(["cp", "-r", ground, folder], check=True)
    subprocess.run(
        [DAPT, "train", "biomed"],
        cwd=folder,
        check=True,
        env=os.environ | {"DAPT_STATE": str(folder / "state"), "DAPT_LAUNCHER": "local"},
    )
    return folder


@pytest.fixture()
def train(ground, tmp_path):
    runs = []

    def start(**settings) -> Run:
        runs.append(Run(ground, tmp_path / "run", **settings))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait()
