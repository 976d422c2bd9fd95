"""slurm/cluster.yaml: what is read, and which launcher is taken."""

import os
import subprocess
import sys

import pytest

from cluster_settings import SETTINGS, with_
from dapt.launch import cluster
from dapt.telling.errors import UserError
from repositories import committed_files, committed_text, replaced


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
    path.write_text(replaced(committed_text("slurm/cluster.yaml"), old, new))
    with pytest.raises(UserError, match=message):
        cluster.load(path)


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
            done.stderr == "dapt launch: --partition is for Slurm, and the launcher is local; set DAPT_LAUNCHER=slurm\n"
        )
