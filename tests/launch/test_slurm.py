"""What srun is asked for; tests/launch/slurm asks a real one."""

import json
import os
import shutil
import subprocess
import time

import pytest

from cluster_settings import SETTINGS, with_
from dapt.launch import cluster, slurm
from dapt.telling.errors import UserError


def words_for(settings: cluster.Cluster, threads: int) -> list[str]:
    return slurm.srun(settings, threads, slurm.training("biomed"))


def test_the_committed_settings_are_the_original_projects_cluster():
    words = words_for(SETTINGS, 2)
    assert words[0] == "srun"
    assert {
        "--partition=gpu,gpu-preempt",
        "--gpus-per-node=1",
        "--constraint=2080ti",
        "--mem=64G",
        "--time=3:00:00",
        "--signal=USR1@120",
        "--nodes=1",
        "--ntasks-per-node=1",
        "--cpus-per-task=2",
        "--kill-on-bad-exit=1",
    } <= set(words)
    assert words[-3:] == ["-m", "dapt.launch.node", "biomed"]
    assert not any(word in " ".join(words) for word in ("precision", "fp16", "bf16"))  # the training decides


def test_a_node_has_the_cpus_of_all_its_processes_and_what_is_not_asked_for_is_not_said():
    words = words_for(with_(gpus=4, nodes=2), 3)
    assert {"--nodes=2", "--ntasks=2", "--gpus-per-node=4", "--cpus-per-task=12"} <= set(words)
    words = words_for(with_(gpus=0, constraint=None, options=["--qos=long"]), 3)
    assert "--cpus-per-task=3" in words and "--qos=long" in words
    assert not any(word.startswith(("--gpus", "--constraint")) for word in words)


def test_setup_runs_before_the_training_and_the_first_node_names_the_job(tmp_path):
    words = words_for(with_(setup=["export GREETING=hello"]), 1)
    shell = words[words.index("bash") : -3]
    for rank, first in (("0", "biomed: job 7 on n1\n"), ("1", "")):
        done = subprocess.run(
            [*shell[:-1], "sh", "-c", "echo $GREETING"],
            capture_output=True,
            text=True,
            env={
                "SLURM_JOB_ID": "7",
                "SLURM_NODEID": rank,
                "SLURM_STEP_NODELIST": "n1",
                "DAPT_EVENTS": str(tmp_path / "events"),
                "PATH": os.environ["PATH"],
            },
        )
        assert done.stdout == f"{first}hello\n", done
    [told] = map(json.loads, (tmp_path / "events").read_text().splitlines())
    assert abs(told.pop("time") - time.time()) < 60
    assert told == {"event": "allocated", "stage": "train", "name": "biomed", "job": "7", "node": "n1"}


def test_inside_of_a_job_it_asks_for_no_other(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(UserError, match="already inside Slurm job 7"):
        slurm.train("biomed", 1, SETTINGS)
