"""A DVC cache that two users of a group share, each with a clone of their own, on one machine."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dapt.core.files import sha256
from repositories import change, ground_in
from slurm_cluster import wait_until
from slurm_runs import newest
from users import GROUP, User, missing

WEIGHTS = "models/biomed/model.safetensors"
PIPELINE = """\
stages:
  train:
    cmd: dapt train biomed
    deps: [models/base, data/tokens/biomed]
    params: [profiles/sample.yaml: [train]]
    outs: [models/biomed, data/curves/biomed.csv, metrics/train/biomed.json]
"""


@dataclass(frozen=True)
class Group:
    """Two users, the folder that their group shares, and a clone of each."""

    one: User
    other: User
    shared: Path
    clones: tuple[Path, Path]


@pytest.fixture()
def group(request, model_folder, tokens, special) -> Iterator[Group]:
    """The first user has trained once, with this umask, and committed; the second has cloned that."""
    if why := missing():
        pytest.skip(why)
    with TemporaryDirectory(prefix="group-") as name:  # in /tmp, since other users cannot enter pytest's folders
        folder = Path(name)
        folder.chmod(0o755)
        one, other = (User(number, folder, int(request.param, 8)) for number in (54_001, 54_002))
        shared, first, second = folder / "shared", one.home / "clone", other.home / "clone"
        shared.mkdir()
        os.chown(shared, one.number, GROUP)
        shared.chmod(0o2770)
        ground_in(first, model_folder, tokens, special, {"train.steps": 5, "train.keep": [], "train.save_every": 20})
        (first / "dvc.yaml").write_text(PIPELINE)
        subprocess.run(["chown", "-R", str(one.number), first], check=True)
        for command in (
            ("git", "init", "-q"),
            ("dvc", "init", "-q"),
            ("dvc", "cache", "dir", str(shared / "cache")),
            ("dvc", "config", "cache.shared", "group"),
            ("dvc", "add", "-q", "models/base", "data/tokens/biomed"),
            ("dvc", "repro"),
            ("git", "add", "-A"),
            ("git", "commit", "-qm", "first"),
        ):
            one.run(first, *command)
        subprocess.run(["chmod", "-R", "a+rX", one.home], check=True)  # as far as git needs it for a clone
        other.run(other.home, "git", "clone", "-q", str(first), "clone")
        yield Group(one, other, shared, (first, second))


@pytest.mark.parametrize("group", ["022", pytest.param("077", marks=pytest.mark.slow)], indirect=True)
def test_each_takes_what_the_other_has_made(group):
    first, second = group.clones
    group.other.run(second, "dvc", "checkout")
    assert sha256(second / WEIGHTS) == sha256(first / WEIGHTS)
    assert "Running stage" not in group.other.run(second, "dvc", "repro")
    change(second, {"train.lr": 2e-3})
    assert "Running stage 'train'" in group.other.run(second, "dvc", "repro")
    assert sha256(second / WEIGHTS) != sha256(first / WEIGHTS)
    group.other.run(second, "git", "commit", "-qam", "second")
    subprocess.run(["chmod", "-R", "a+rX", group.other.home], check=True)
    group.one.run(first, "git", "pull", "-q", str(second))
    group.one.run(first, "dvc", "checkout")
    assert sha256(second / WEIGHTS) == sha256(first / WEIGHTS)
    assert {path.stat().st_uid for path in group.shared.rglob("*") if path.is_file()} == {54_001, 54_002}


@pytest.mark.parametrize("group", ["022"], indirect=True)
def test_each_resumes_from_a_state_that_the_other_cannot_change(group):
    first, second = group.clones
    group.other.run(second, "dvc", "checkout")
    users = (group.one, group.other)
    for clone in group.clones:
        change(clone, {"train.steps": 1500})
    states = [group.shared / "tmp/dapt-state" / user.name for user in users]
    running = [user.start(clone, "dapt", "train", "biomed") for user, clone in zip(users, group.clones)]
    for training, state in zip(running, states):
        wait_until(lambda: newest(state) >= 20, 60, "a checkpoint")
        training.send_signal(signal.SIGTERM)
    for training, state in zip(running, states):
        assert training.wait(60) == 75, training.stdout.read()
        assert newest(state) > 0
    [lock] = states[0].glob("*/lock")
    for harm in (f"rm -rf {states[0]}", f"mv {states[0]} {states[0]}.old", f"echo > {lock}", f"rm -f {lock}"):
        group.other.run(second, "sh", "-c", f"{harm}; exit 7", code=7)
        assert lock.exists() and newest(states[0]) > 0
    for user, clone in zip(users, group.clones):
        assert "resumed at step" in user.run(clone, "dapt", "train", "biomed")
    assert sha256(second / WEIGHTS) == sha256(first / WEIGHTS)
