"""The launcher's decisions, without a cluster: tests/slurm has the rest."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dapt.core import config
from dapt.launch import cluster, follow, local, node, slurm, slurm_answers
from dapt.launch.slurm_answers import End, verdict
from dapt.telling.errors import UserError
from repositories import ROOT

SETTINGS = cluster.load(ROOT / "slurm/cluster.yaml")
SCRIPTS = sorted((ROOT / "slurm").glob("*.sh"))


def with_(**values) -> cluster.Cluster:
    return cluster.Cluster.model_validate(SETTINGS.model_dump() | values)


def test_the_committed_settings_are_the_original_projects_cluster():
    words = slurm.command(SETTINGS, 2, "biomed")
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
    words = slurm.command(with_(gpus=4, nodes=2), 3, "biomed")
    assert {"--nodes=2", "--ntasks=2", "--gpus-per-node=4", "--cpus-per-task=12"} <= set(words)
    words = slurm.command(with_(gpus=0, constraint=None, options=["--qos=long"]), 3, "biomed")
    assert "--cpus-per-task=3" in words and "--qos=long" in words
    assert not any(word.startswith(("--gpus", "--constraint")) for word in words)


def test_setup_runs_before_the_training_and_the_first_node_names_the_job():
    words = slurm.command(with_(setup=["export GREETING=hello"]), 1, "biomed")
    shell = words[words.index("bash") : -3]
    for rank, first in (("0", "biomed: job 7 on n1\n"), ("1", "")):
        done = subprocess.run(
            [*shell[:-1], "sh", "-c", "echo $GREETING"],
            capture_output=True,
            text=True,
            env={"SLURM_JOB_ID": "7", "SLURM_NODEID": rank, "SLURM_STEP_NODELIST": "n1"},
        )
        assert done.stdout == f"{first}hello\n", done


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
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, old, new, message):
    path = tmp_path / "cluster.yaml"
    path.write_text((ROOT / "slurm/cluster.yaml").read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        cluster.load(path)


@pytest.mark.parametrize(
    "end, what",
    [
        (End(0, None, "biomed: job 3 is done\n"), "done"),
        (End(0, "NODE_FAIL", "srun: error: Node failure on n1\n"), "again"),  # as seen: srun's code is 0
        (End(75, "FAILED", "biomed: asked to leave at step 3 of 9\n"), "again"),
        (End(138, "FAILED", "srun: error: n1: task 0: User defined signal 1\n"), "again"),
        (End(137, "FAILED", "biomed: asked to leave at step 3 of 9\n"), "again"),  # another node was killed behind it
        (End(75, "CANCELLED", "biomed: asked to leave at step 3 of 9\n"), "cancelled"),
        (End(75, "PREEMPTED", ""), "again"),
        (End(137, "TIMEOUT", ""), "again"),
        (End(137, "OUT_OF_MEMORY", ""), "memory"),
        (End(1, "FAILED", "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=3.0\n"), "memory"),
        (
            End(
                1,
                None,
                "srun: error: Unable to allocate resources: Unable to contact slurm controller (connect failure)\n",
            ),
            "away",
        ),
        (End(1, None, "srun: error: Unable to allocate resources: Invalid feature specification\n"), "failed"),
        (
            End(
                1,
                "FAILED",
                "srun: error: Unable to create step for job 28: Invalid generic resource (gres) specification\n",
            ),
            "again",
        ),
        (End(1, "FAILED", "Traceback\n"), "failed"),
        (End(2, "FAILED", "dapt train biomed: no\n"), "failed"),
    ],
)
def test_what_follows_from_the_end_of_a_job(end, what):
    assert verdict(end) == what


@pytest.mark.parametrize(
    "state, resumes, words",
    [
        ("CANCELLED", True, "was cancelled at step 7; run again to go on from there"),
        ("CANCELLED", False, "was cancelled; run again to begin anew"),
        ("OUT_OF_MEMORY", True, "needed more memory than 64G; raise memory in slurm/cluster.yaml or make"),
        ("OUT_OF_MEMORY", False, "needed more memory than 32G; raise cpu.memory in slurm/cluster.yaml"),
        ("TIMEOUT", False, "was not done after 4:00:00; raise cpu.time in slurm/cluster.yaml"),
        ("TIMEOUT", True, None),
        ("NODE_FAIL", False, None),
        ("FAILED", False, None),
    ],
)
def test_what_ends_a_job_for_good_is_said_in_the_settings_of_its_stage(state, resumes, words):
    why = slurm_answers.for_good(End(1, state, ""), 7, resumes, SETTINGS if resumes else SETTINGS.for_stages())
    assert why.startswith(words) if words else why is None


def test_the_last_saved_step_is_read_from_what_a_job_says():
    assert slurm_answers.saved("", 7) == 7
    assert (
        slurm_answers.saved("resumed at step 40\nbiomed: step 90/300\nbiomed: asked to leave at step 95 of 300\n", 40)
        == 95
    )


@pytest.mark.parametrize(
    "reason, words",
    [
        ("Resources", "no node has room"),
        ("(Priority)", "others are before it"),
        ("QOSMaxGRESPerUser", "a limit of your"),
        ("AssocGrpGRES", "a limit of your account"),
        ("ReqNodeNotAvail, UnavailableNodes:n1", "down or reserved"),
        ("Odd", "Odd"),
    ],
)
def test_reasons_for_waiting_are_words(reason, words):
    assert words in slurm_answers.waiting(reason)


def test_what_is_no_refusal_is_left_as_it_is():
    assert slurm_answers.refusal("srun: error: something else", SETTINGS) is None


def test_a_partition_without_slurm_is_refused_before_anything_is_started(tmp_path):
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
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
            done.stderr == "dapt launch: --partition is for Slurm, and the launcher is local; set DAPT_LAUNCHER=slurm\n"
        )


def test_accelerate_is_given_the_machines_and_processes():
    one = local.arguments("biomed", 2, local.Place())
    assert "--multi_gpu" not in one and one[-3:] == ["--module", "dapt.stages.train", "biomed"]
    two = " ".join(local.arguments("biomed", 2, local.Place(2, 1, 4, "n1", 1234)))
    for option in (
        "--num_processes 8",
        "--num_machines 2",
        "--machine_rank 1",
        "--main_process_ip n1",
        "--main_process_port 1234",
        "--num_cpu_threads_per_process 2",
        "--multi_gpu",
    ):
        assert option in two


def test_the_meeting_point_is_another_one_after_a_requeue():
    variables = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}
    assert node.meeting_point(variables) != node.meeting_point(variables | {"SLURM_RESTART_COUNT": "1"})


def test_nodes_meet_where_the_first_one_is(tmp_path):
    path = tmp_path / "logs/first"
    with node.met(path, 0) as first, node.met(path, 1) as second:
        assert first == second and 0 < first[1] < 65536
    assert not path.exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_are_clean_and_ask_for_the_cpus_that_the_threads_need(script):
    params = config.load(ROOT / "params.yaml")
    cpus = {int(number) for number in re.findall(r"--cpus-per-task=(\d+)", script.read_text())}
    assert cpus == set() or cpus == {profile.train.threads for profile in params.profiles.values()}
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", "-x", str(script)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def again(folder: Path, restarts: int, command: str) -> tuple[int, str]:
    """Exit status and log of a batch job's restart that runs a command; `scontrol` says what it is given."""
    (folder / "scontrol").write_text('#!/bin/sh\necho "scontrol $*"\n')
    (folder / "scontrol").chmod(0o755)
    variables = os.environ | {
        "SLURM_JOB_ID": "7",
        "SLURM_RESTART_COUNT": str(restarts),
        "PATH": f"{folder}:{os.environ['PATH']}",
    }
    with open(folder / "log", "a") as log:
        done = subprocess.run(
            ["bash", "-c", f'. "{ROOT}/slurm/again.sh"; again bash -c "$1"', "job", command], stdout=log, env=variables
        )
    return done.returncode, (folder / "log").read_text()


def test_the_batch_script_that_is_run_instead_of_submitted_says_so():
    done = subprocess.run(["bash", ROOT / "slurm/train.sbatch.sh", "biomed"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and done.stdout == ""
    assert done.stderr.endswith("this is no job yet; submit it: sbatch slurm/train.sbatch.sh biomed\n")


def test_a_batch_job_is_queued_again_until_restarts_in_a_row_save_nothing_new(tmp_path):
    for restarts in (0, 1):
        code, log = again(tmp_path, restarts, f"echo asked to leave at step 2{restarts}; exit 75")
        assert code == 0 and log.endswith("slurm: ended with code 75\nscontrol requeue 7\n")
    for restarts in (2, 3, 4, 5):
        assert again(tmp_path, restarts, "echo resumed at step 21; exit 75")[0] == 0
    code, log = again(tmp_path, 6, "echo resumed at step 21; exit 75")
    assert code == 1 and "slurm: 6 restarts have saved 2 steps" in log and log.count("scontrol") == 6


@pytest.mark.parametrize("code", [0, 1])
def test_a_batch_job_that_is_done_or_failed_is_not_queued_again(tmp_path, code):
    assert again(tmp_path, 0, f"exit {code}") == (code, f"slurm: ended with code {code}\n")


def test_a_batch_job_that_is_asked_before_its_command_listens_is_queued_again(tmp_path):
    command = "kill -USR1 $PPID; trap '' USR1; sleep 0.1; trap 'exit 1' USR1; while :; do sleep 0.1; done"
    assert again(tmp_path, 0, command) == (0, "slurm: ended with code 1\nscontrol requeue 7\n")


def test_inside_of_a_job_it_asks_for_no_other(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(UserError, match="inside of Slurm's job 7 already"):
        slurm.train("biomed", 1, SETTINGS)


QUEUED = """launch: process 41
Running stage 'train@biomed':
> dapt train biomed
srun: job 7 queued and waiting for resources
slurm: log: logs/train-biomed-7.log
slurm: job 7 queued at 11-24 10:00:00
slurm: job 7 waits: no node has room for it; estimated start 2026-11-25T09:30:00
"""
TRAINING = (
    QUEUED
    + """srun: job 7 has been allocated resources
biomed: job 7 on n1
biomed: 4,416,698 parameters, 2000 windows of 128 tokens, 300 steps of 32, fp16 on 1 × cuda
biomed: step 0, loss on valid 8.2740
biomed: step 120/300, 50,324 tokens/s, loss 5.667, 9 s left
"""
)
LEFT = TRAINING + "biomed: asked to leave at step 130 of 300; run again to go on from there\n"
RESTARTED = (
    LEFT
    + """slurm: restart 1, after job 7 (asked to leave), from step 130
biomed: job 8 on n2
resumed at step 130
"""
)


@pytest.mark.parametrize(
    "said, running, state, found",
    [
        ("launch: process 41\n", True, "starting", {}),
        (
            QUEUED,
            True,
            "queued",
            {"job": "7", "queued": "11-24 10:00:00", "start": "2026-11-25T09:30:00", "why": "no node has room for it"},
        ),
        (TRAINING, True, "training", {"node": "n1", "step": "120", "steps": "300", "speed": "50,324", "loss": "5.667"}),
        (TRAINING, False, "killed", {"step": "120"}),
        (
            LEFT + "ERROR: failed to reproduce 'train@biomed'\nlaunch: ended with code 255\n",
            False,
            "left",
            {"step": "130"},
        ),
        (RESTARTED, True, "training", {"job": "8", "node": "n2", "step": "130", "restarts": "1"}),
        (RESTARTED + "biomed: job 8 is done\nlaunch: ended with code 0\n", False, "done", {"job": "8"}),
        ("Stage 'train@biomed' didn't change, skipping\nlaunch: ended with code 0\n", False, "trained before", {}),
        (
            TRAINING + "dapt train: a reason\nERROR: failed\nlaunch: ended with code 255\n",
            False,
            "failed",
            {"error": "dapt train: a reason"},
        ),
    ],
)
def test_the_state_of_a_job_is_read_from_its_log(said, running, state, found):
    read = follow.read(said, running)
    assert read.state == state and found.items() <= read.found.items()
    assert read.finished == (state in ("done", "trained before"))


def test_of_a_failed_job_the_trainings_words_are_told_before_dvcs():
    assert follow.read("dapt train: one\nERROR: two\nlaunch: ended with code 1\n", False).why == "dapt train: one"
    assert follow.read("ERROR: two\nlaunch: ended with code 1\n", False).why == "two"
    cancelled = LEFT + "dapt train: job 7 was cancelled at step 130\nERROR: two\nlaunch: ended with code 255\n"
    assert follow.read(cancelled, False).why == "dapt train: job 7 was cancelled at step 130"
    assert follow.read(LEFT + "ERROR: two\nlaunch: ended with code 255\n", False).why == "left at step 130"
