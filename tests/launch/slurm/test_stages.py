"""Other stages than train through a real Slurm, by a real DVC: slurm/cluster.yaml sends them, and the lock is the same."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from repositories import copy_of_tree, environment
from sentences import sentences
from slurm_cluster import wait_until
from slurm_runs import DAPT, preempted


def send(folder: Path, partition: str, setup: str) -> None:
    """Have `tokenize` run there, behind a line of bash."""
    path, yaml = folder / "slurm/cluster.yaml", YAML()
    values = yaml.load(path.read_text())
    values["setup"] = [setup]
    values["cpu"] |= {"stages": ["tokenize"], "partition": partition}
    with open(path, "w") as file:
        yaml.dump(values, file)


@pytest.fixture()
def repository(tmp_path, model_folder) -> Path:
    """Ready to tokenize a domain."""
    folder = tmp_path / "repository"
    folder.mkdir()
    copy_of_tree(folder)
    shutil.copytree(model_folder, folder / "data/raw/model/base")
    for name, count in {"train": 300, "valid": 30}.items():
        path = folder / f"data/split/biomed/{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in sentences(count)))
    return folder


def start(folder: Path, launcher: str) -> subprocess.Popen:
    words = [Path(DAPT).parent / "dvc", "repro", "-f", "-s", "tokenize@biomed"]
    with open(folder / "output", "w") as output:
        return subprocess.Popen(
            words,
            cwd=folder,
            env=environment(folder.parent) | {"DAPT_LAUNCHER": launcher},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def said(folder: Path) -> str:
    return (folder / "output").read_text()


def test_a_stage_that_is_sent_is_run_again_after_a_preemption_and_the_lock_is_that_of_this_machine(cluster, repository):
    send(repository, "gpu-preempt", "sleep 5")
    assert start(repository, "local").wait(120) == 0 and "slurm" not in said(repository), said(repository)
    lock = (repository / "dvc.lock").read_bytes()
    process = start(repository, "slurm")
    wait_until(lambda: "biomed: job" in said(repository), 60, "a job")
    with preempted(cluster):
        assert process.wait(120) == 0, said(repository)
    first, second = re.findall(r"biomed: job (\d+) on", said(repository))
    assert f"slurm: restart 1, after job {first} (" in said(repository)
    log = (repository / f"logs/tokenize-biomed-{second}.log").read_text()
    assert "biomed/train: 300 documents" in log and "is done" not in log
    assert (repository / "dvc.lock").read_bytes() == lock


def test_a_stage_that_fails_is_not_run_again(cluster, repository):
    send(repository, "cpu", "true")
    (repository / "data/split/biomed/valid.jsonl").write_text("no JSON\n")
    assert start(repository, "slurm").wait(120) != 0
    assert "valid.jsonl line 1" in said(repository) and "restart" not in said(repository)
    assert said(repository).count("biomed: job") == 1
