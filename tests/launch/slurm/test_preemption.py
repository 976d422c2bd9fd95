"""Interrupted by a real Slurm at any moment, a training ends in the bits of one that was not interrupted.

DAPT_PREEMPTIONS runs, 1 unless it says otherwise, each at another moment and in one of three ways.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from slurm_cluster import Cluster, wait_until
from slurm_runs import Run, by_hand, newest, preempted, same

TIMES = int(os.environ.get("DAPT_PREEMPTIONS", "1"))
LAST = 600  # of 1500 steps: Slurm takes a second or two, and the training goes on


def preempt(run: Run, cluster: Cluster, job: str) -> None:
    with preempted(cluster):
        run.wait_for("slurm: restart 1")


def come_near_the_limit(run: Run, cluster: Cluster, job: str) -> None:
    """Stopped until Slurm looks at the limits, twice a minute, and sends SIGUSR1: leave_before is 120."""
    cluster.ask("scancel", "--signal=STOP", job)
    cluster.ask("scontrol", "update", f"jobid={job}", "EndTime=now+90")
    run.wait_for(rf"slurm: restart 1, after job {job} \(asked to stop\)", 150)


def reach_the_limit(run: Run, cluster: Cluster, job: str) -> None:
    """Slurm sends SIGTERM first: a training that answers it at once has left before the job has timed out."""
    cluster.ask("scancel", "--signal=STOP", job)
    cluster.ask("scontrol", "update", f"jobid={job}", "EndTime=now+1")
    run.wait_for(rf"slurm: restart 1, after job {job} \((TIMEOUT|asked to stop)\)", 90)


@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.promise
def test_however_it_is_interrupted_it_ends_in_the_same_bits(train, cluster, alone, number):
    interrupt = (preempt, come_near_the_limit, reach_the_limit)[number % 3]
    run = train(partitions=["gpu-preempt"])
    job = run.wait_for_checkpoint(LAST * number // TIMES if TIMES > 1 else LAST // 2)
    interrupt(run, cluster, job)
    said = run.end()
    assert said.count("slurm: restart") == 1 and f"slurm: restart 1, after job {job}" in said
    assert same(run.folder, alone)


def test_preempted_without_a_grace_time_it_ends_in_the_same_bits(train, cluster, alone):
    """The partition cpu has no GraceTime, so the job is killed after Slurm's KillWait, saved or not."""
    run = train(partitions=["cpu"])
    job = run.wait_for_checkpoint(100)
    preempt(run, cluster, job)
    assert f"slurm: restart 1, after job {job}" in run.end() and same(run.folder, alone)


def submit(ground: Path, folder: Path) -> tuple[str, Path]:
    """Number and log of slurm/train.sbatch.sh's job in a copy of the ground."""
    variables = by_hand(ground, folder)
    (folder / "logs").mkdir()
    number = subprocess.run(
        ["sbatch", "--parsable", "slurm/train.sbatch.sh", "biomed"],
        cwd=folder,
        env=variables,
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.strip()
    return number, folder / f"logs/train-{number}.log"


def wait_for(log: Path, words: str) -> str:
    wait_until(lambda: log.exists() and words in log.read_text(), 90, words)
    return log.read_text()


def test_a_preempted_batch_job_is_queued_again_until_it_is_done(cluster, ground, alone, tmp_path):
    number, log = submit(ground, tmp_path / "run")
    wait_until(lambda: newest(tmp_path / "run/state") > 0, 60, "a checkpoint")
    with preempted(cluster):
        wait_for(log, "ended with code 75")
    said = wait_for(log, "ended with code 0")
    assert f"train-biomed: job {number} on" in said and "restart 1" in said and "restart 2" not in said
    left, resumed = (re.search(rf"{words} at step (\d+)", said)[1] for words in ("saved", "resumed"))
    assert left == resumed and same(tmp_path / "run", alone)
