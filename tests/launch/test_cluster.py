"""slurm/cluster.yaml: what is read, and which launcher is taken."""

import os
import subprocess
import sys

import pytest

from cluster_settings import SETTINGS, with_
from dapt.launch import cluster, dispatch
from dapt.telling.errors import UserError
from repositories import committed_files, committed_params, committed_text, replaced


@pytest.mark.parametrize(
    "asked, file, result",
    [
        (None, None, "local"),
        ("local", None, "local"),
        (None, "local", "local"),
        (None, "slurm", "slurm"),
        ("slurm", "local", "slurm"),
        ("local", "slurm", "local"),
        ("", "slurm", "slurm"),
    ],
)
def test_the_variable_wins_over_the_file(asked, file, result):
    assert cluster.launcher(asked, file and with_(launcher=file)) == result


@pytest.mark.parametrize(
    "asked, settings, message",
    [
        ("pbs", SETTINGS, "DAPT_LAUNCHER is 'pbs'; set it to local or slurm"),
        ("slurm", None, "there is no slurm/cluster.yaml"),
    ],
)
def test_a_launcher_that_cannot_be_is_refused(asked, settings, message):
    with pytest.raises(UserError, match=message):
        cluster.launcher(asked, settings)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("constraint:", "constrain:", "constrain: unknown setting; did you mean constraint?"),
        ("memory: 64G", "memory: a lot", "memory: .*'a lot'"),
        ("nodes: 1", "nodes: 0", "nodes: .*0"),
        ("[finetune]", "[finetun]", "groups.tasks.stages.0: .*'finetune', not 'finetun'"),
        ("[base, evaluate]", "[base, train]", "groups: train is in two groups; remove it from one"),
        (
            "[finetune], memory",
            "[finetune], gpus: 2, memory",
            "groups.tasks: gpus is 2, but finetune runs as a single process",
        ),
        ("[train]", "[train], cpus: 8", "groups.training: cpus: a training uses train.threads CPUs per GPU"),
        ("[finetune], memory", "[finetune], memori", "groups.tasks.memori: unknown setting; did you mean memory?"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, old, new, message):
    path = tmp_path / "cluster.yaml"
    path.write_text(replaced(committed_text("slurm/cluster.yaml"), old, new))
    with pytest.raises(UserError, match=message):
        cluster.load(path)


def test_a_stage_asks_for_what_its_group_says_and_else_for_what_all_do():
    wide = with_(nodes=2, gpus=4)
    train, evaluate, tune = (wide.for_stage(stage) for stage in ("train", "evaluate", "finetune"))
    assert (train.nodes, train.gpus, train.memory, train.time) == (2, 4, "64G", "3:00:00")
    assert (evaluate.nodes, evaluate.gpus, evaluate.memory, evaluate.time) == (1, 1, "16G", "0:30:00")
    assert tune.constraint == "2080ti" and tune.time == "3:00:00" and tune.partitions == ["gpu", "gpu-preempt"]
    assert SETTINGS.for_stage("tokenize") is None and SETTINGS.every_partition() == ["gpu", "gpu-preempt", "cpu"]
    texts = with_(groups={"texts": {"stages": ["clean"], "partitions": ["cpu"], "gpus": 0, "constraint": None}})
    assert texts.for_stage("train") is None
    nothing = with_(groups={"texts": {"stages": ["clean"], "partitions": None, "gpus": None, "memory": None}})
    assert nothing.for_stage("clean") == with_(groups={"texts": {"stages": ["clean"]}}).for_stage("clean")
    clean = texts.for_stage("clean")
    assert (clean.gpus, clean.constraint, clean.partitions, clean.memory) == (0, None, ["cpu"], "64G")


def test_a_node_has_a_processor_for_each_thread_that_a_stage_uses():
    """On nodes without GPUs the seeds of a fine-tuning are trained side by side; the sample has three."""
    profile = committed_params().profiles["sample"]
    found = {
        stage: dispatch.threads_of(stage, profile, SETTINGS) for stage in ("base", "evaluate", "finetune", "clean")
    }
    assert found == {"base": 2, "evaluate": 2, "finetune": 1, "clean": 1}
    assert dispatch.threads_of("finetune", profile, with_(gpus=0)) == 3
    assert dispatch.threads_of("finetune", profile, with_(gpus=0, cpus=8)) == 8


def test_a_partition_without_slurm_is_refused_before_anything_is_started(tmp_path):
    committed_files(tmp_path, "params.yaml", "profiles", "dvc.yaml")
    for what in ([], ["--smoke"]):
        done = subprocess.run(
            [sys.executable, "-m", "dapt", "launch", *what, "biomed", "--partition", "gpu"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ | {"DAPT_LAUNCHER": "local"},
        )
        assert (done.returncode, done.stdout) == (2, "") and not (tmp_path / "logs").exists()
        assert (
            done.stderr
            == "dapt launch: --partition works only with Slurm, but the launcher is local; set DAPT_LAUNCHER=slurm\n"
        )
