"""Other stages than train through a real Slurm, by a real DVC: slurm/cluster.yaml sends them, and the lock is the same."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cluster_settings import change_group
from dapt.core.files import write_lines
from dapt.telling import events
from repositories import committed_files, copy_of_tree, environment
from sentences import sentences
from slurm_cluster import wait_until
from slurm_runs import DAPT, preempted
from toys import repository_with, topics


def send(folder: Path, partition: str, setup: str) -> None:
    """Have `tokenize` run there, behind a line of bash."""
    change_group(folder, "texts", (setup,), stages=["tokenize"], partitions=[partition])


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


def test_a_preempted_fine_tuning_goes_on_with_the_seeds_that_are_left(cluster, tmp_path, model_folder):
    """Not trained again is what was finished: its events and lines are of the first job alone."""
    task, made = "finance_classification", {}
    for launcher in ("local", "slurm"):
        folder = tmp_path / launcher
        settings = {"epochs": 20, "lr": 3e-3, "finetune.threads": 2, "finetune.patience": 20}
        repository_with(folder, model_folder, task, topics, settings)
        committed_files(folder, "slurm/cluster.yaml")
        change_group(folder, "tasks", partitions=["gpu-preempt"], cpus=2)
        variables = os.environ | {"DAPT_LAUNCHER": launcher, "DAPT_STATE": str(tmp_path / "state" / launcher)}
        variables["OMP_WAIT_POLICY"] = "passive"  # two threads that wait for each other on a busy machine
        with open(folder / "output", "w") as output:
            words = [DAPT, "finetune", task, "base"]
            process = subprocess.Popen(words, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT)
        if launcher == "slurm":
            told = folder / f"logs/finetune-{task}-base.jsonl"
            wait_until(lambda: any(one.get("step", 0) > 0 for one in events.read(told)), 300, "a finished seed")
            with preempted(cluster):
                assert process.wait(300) == 0, said(folder)
        assert process.wait(120) == 0, said(folder)
        made[launcher] = [
            (folder / path).read_bytes()
            for path in (f"metrics/tasks/{task}/base.json", f"models/tasks/{task}/base/model.safetensors")
        ]
        assert not list((tmp_path / "state" / launcher).iterdir())
    saved = re.search(r"slurm: restart 1, after job \d+ \(.*\), with (\d+) epochs saved", said(folder))
    assert saved and int(saved[1]) >= 20  # more where the machine is so busy that an epoch takes a minute
    assert f"{task}, base, seed 0: already finished" in said(folder) and said(folder).count("seed 0, epoch 1:") == 1
    assert made["local"] == made["slurm"]


def test_an_evaluation_is_a_job_of_half_an_hour(cluster, tmp_path, model_folder):
    folder = repository_with(tmp_path / "repository", model_folder, "finance_classification", topics, {})
    for name in ("biomed", "finance", "general"):
        rows = ({"group": row["group"], "text": row["text"]} for row in topics(20, 5))
        write_lines(folder / f"data/split/{name}/heldout.jsonl", rows)
    committed_files(folder, "slurm/cluster.yaml")
    environment = os.environ | {"DAPT_LAUNCHER": "slurm"}
    done = subprocess.run([DAPT, "evaluate", "base"], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [number] = re.findall(r"base: job (\d+) on", done.stdout)
    job = subprocess.run(["scontrol", "-o", "show", "job", number], capture_output=True, text=True).stdout
    assert "TimeLimit=00:30:00" in job and "mem=16G" in job and "gres:gpu:1" in job and "NumCPUs=2" in job
    assert (folder / "metrics/eval/base.json").is_file() and (folder / f"logs/evaluate-base-{number}.log").is_file()
