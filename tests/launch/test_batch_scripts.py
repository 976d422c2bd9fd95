"""The scripts in slurm/, without a cluster; tests/launch/slurm submits them to a real one."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dapt.core import config
from repositories import ROOT

SCRIPTS = sorted((ROOT / "slurm").glob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_are_clean_and_ask_for_the_cpus_that_the_threads_need(script):
    params = config.load(ROOT)
    cpus = {int(number) for number in re.findall(r"--cpus-per-task=(\d+)", script.read_text())}
    assert cpus == set() or cpus == {profile.train.threads for profile in params.profiles.values()}
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", "-x", str(script)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def telling(event: str, step: int) -> str:
    """A command that tells an event and ends as a training does that was asked to leave."""
    told = json.dumps({"event": event, "step": step})
    return f"mkdir -p logs; echo '{told}' >> $DAPT_EVENTS; exit 75"


def again(folder: Path, restarts: int, command: str) -> tuple[int, str]:
    """Exit status and log of a batch job's restart that runs a command; `scontrol` says what it is given."""
    (folder / "scontrol").write_text('#!/bin/sh\necho "scontrol $*"\n')
    (folder / "scontrol").chmod(0o755)
    variables = os.environ | {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NAME": "train",
        "SLURM_SUBMIT_DIR": str(folder),
        "SLURM_RESTART_COUNT": str(restarts),
        "PATH": f"{folder}:{os.environ['PATH']}",
    }
    with open(folder / "log", "a") as log:
        done = subprocess.run(
            ["bash", "-c", f'. "{ROOT}/slurm/again.sh"; again bash -c "$1"', "job", command],
            stdout=log,
            env=variables,
            cwd=folder,
        )
    return done.returncode, (folder / "log").read_text()


def test_the_batch_script_that_is_run_instead_of_submitted_says_so():
    done = subprocess.run(["bash", ROOT / "slurm/train.sbatch.sh", "biomed"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and done.stdout == ""
    assert done.stderr.endswith("not in a Slurm job; submit it with: sbatch slurm/train.sbatch.sh biomed\n")


def test_a_batch_job_is_queued_again_until_restarts_in_a_row_save_nothing_new(tmp_path):
    for restarts in (0, 1):
        code, log = again(tmp_path, restarts, telling("left", 20 + restarts))
        assert code == 0 and log.endswith("slurm: ended with code 75\nscontrol requeue 7\n")
    for restarts in (2, 3, 4, 5):
        assert again(tmp_path, restarts, telling("resumed", 21))[0] == 0
    code, log = again(tmp_path, 6, telling("resumed", 21))
    assert code == 1 and "slurm: 6 restarts have saved only 2 checkpoints" in log and log.count("scontrol") == 6


@pytest.mark.parametrize("code", [0, 1])
def test_a_batch_job_that_is_done_or_failed_is_not_queued_again(tmp_path, code):
    assert again(tmp_path, 0, f"exit {code}") == (code, f"slurm: ended with code {code}\n")


def test_a_batch_job_that_is_asked_before_its_command_listens_is_queued_again(tmp_path):
    command = "kill -USR1 $PPID; trap '' USR1; sleep 0.1; trap 'exit 1' USR1; while :; do sleep 0.1; done"
    assert again(tmp_path, 0, command) == (0, "slurm: ended with code 1\nscontrol requeue 7\n")
