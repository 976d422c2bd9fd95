"""slurm/clone.sbatch.sh on a real Slurm: real git, real DVC, a repository whose data lies in the cache alone."""

import re
import subprocess

import pytest

from repositories import environment, run
from slurm_cluster import wait_until
from slurm_runs import newest, only_training, preempted, same

SCRIPT = "slurm/clone.sbatch.sh"


@pytest.fixture()
def submitted(ground, tmp_path):
    """A repository, the number of the job that trains its commit in a clone, the job's log, and the node's disk."""
    folder, disk = only_training(tmp_path / "repository", ground, 1500), tmp_path / "disk"
    disk.mkdir()
    run(folder, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    run(folder, "git", "commit", "-qam", "a remote")
    said = subprocess.run(
        [SCRIPT, "biomed", f"--export=ALL,TMPDIR={disk}"],
        cwd=folder,
        env=environment(tmp_path),
        text=True,
        capture_output=True,
        check=True,
    ).stdout
    number = re.fullmatch(r"Submitted batch job (\d+)\n", said)[1]
    return folder, number, folder / f"logs/clone-{number}.log", disk


@pytest.mark.slow
def test_a_preempted_clone_brings_the_model_of_this_machine_as_an_experiment(cluster, submitted, alone):
    folder, number, log, disk = submitted
    (folder / "params.yaml").write_text("later changes are not those of the commit")
    wait_until(lambda: newest(folder / ".dvc/tmp/dapt-state") > 0, 90, "a checkpoint")
    with preempted(cluster):
        wait_until(lambda: "saved at step" in log.read_text(), 60, "a checkpoint")
    wait_until(lambda: "ended with code" in log.read_text().partition("restart 1")[2], 120, "the end")
    said = log.read_text()
    assert said.endswith("ended with code 0\n"), said
    left, resumed = (re.search(rf"{words} at step (\d+)", said)[1] for words in ("saved", "resumed"))
    assert left == resumed and "restart 1" in said
    assert not list(disk.iterdir())
    run(folder, "git", "checkout", "-q", "params.yaml")
    run(folder, "dvc", "exp", "apply", f"train-biomed-{number}", code=None)  # the other domains have no models yet
    assert same(folder, alone) and "up to date" in run(folder, "dvc", "status", "train@biomed")
    assert "Everything is up to date" in run(folder, "dvc", "push", "train@biomed")


def test_uncommitted_changes_are_refused(ground, tmp_path):
    folder = only_training(tmp_path / "repository", ground, 20)
    with open(folder / "params.yaml", "a") as file:
        file.write("# changed\n")
    done = subprocess.run([SCRIPT, "biomed"], cwd=folder, text=True, capture_output=True)
    assert done.returncode == 2 and "a clone, which has only commits" in done.stderr and " M params.yaml" in done.stderr
    assert not (folder / "logs").exists()
