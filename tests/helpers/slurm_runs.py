"""`dapt train biomed` through Slurm in a copy of the ground, for the tests to interrupt."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.repo import Repo
from ruamel.yaml import YAML

from dapt.core.files import sha256
from repositories import ROOT, change, copy_of_tree
from repositories import run as git_and_dvc
from slurm_cluster import NODES, Cluster, wait_until

DAPT = str(Path(sys.executable).parent / "dapt")
BEFORE = ("check", "fetch", "fetch_model", "clean", "validate", "split", "tokenize", "base")  # the training
WEIGHTS = "models/biomed/model.safetensors"


class Run:
    """`dapt train biomed` under Slurm in a copy of the ground, with some settings of slurm/cluster.yaml changed."""

    def __init__(self, ground: Path, folder: Path, **settings):
        subprocess.run(["cp", "-r", ground, folder], check=True)
        self.folder, yaml = folder, YAML()
        path = folder / "slurm/cluster.yaml"
        values = yaml.load(path.read_text()) | settings
        with open(path, "w") as file:
            yaml.dump(values, file)
        self.start()

    def start(self) -> None:
        self.output = self.folder / "output"
        variables = os.environ | {"DAPT_STATE": str(self.folder / "state"), "DAPT_LAUNCHER": "slurm"}
        with open(self.output, "w") as file:
            self.process = subprocess.Popen(
                [DAPT, "train", "biomed"], cwd=self.folder, stdout=file, stderr=file, env=variables
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, pattern: str, seconds: float = 60) -> re.Match:
        wait_until(lambda: re.search(pattern, self.said()) or self.process.poll() is not None, seconds, pattern)
        found = re.search(pattern, self.said())
        assert found, self.said()
        return found

    def wait_for_checkpoint(self, step: int = 1) -> str:
        """The number of the job that wrote one at this step or later; step 0: of the job that begins."""
        if not step:
            return self.wait_for(r": job (\d+) on ")[1]
        wait_until(lambda: newest(self.folder / "state") >= step, 60, "a checkpoint")
        return re.findall(r": job (\d+) on ", self.said())[-1]

    def end(self, code: int = 0) -> str:
        assert self.process.wait(120) == code, self.said()
        return self.said()


def newest(state: Path) -> int:
    """The step of the newest checkpoint in a DAPT_STATE, or -1."""
    folders = (name for _, names, _ in os.walk(state) for name in names)  # which leaves out what vanishes meanwhile
    found = (name.removeprefix("step-") for name in folders if name.startswith("step-"))
    return max((int(name) for name in found if name.isdigit()), default=-1)


@contextmanager
def busy(cluster: Cluster, *options: str) -> Iterator[None]:
    """All nodes are taken by a job that has these options of srun."""
    words = ["srun", *options, f"--nodes={NODES}", "--exclusive", "sleep", "60"]
    job = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: not cluster.idle(), 30, "busy nodes")
        yield
    finally:
        job.terminate()
        cluster.cancel_all()
        job.wait()


@contextmanager
def preempted(cluster: Cluster) -> Iterator[None]:
    """A job of the partition gpu takes all nodes for a moment; Slurm ends for it what runs in gpu-preempt."""
    words = ["srun", "--partition=gpu", f"--nodes={NODES}", "--exclusive", "sleep", "1"]
    other = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    assert other.wait(120) == 0


def same(one: Path, other: Path) -> bool:
    return sha256(one / WEIGHTS) == sha256(other / WEIGHTS)


def by_hand(ground: Path, folder: Path) -> dict[str, str]:
    """A copy of the ground with the scripts, and the environment in which `python` is this one."""
    subprocess.run(["cp", "-r", ground, folder], check=True)
    for path in (ROOT / "slurm").glob("*.sh"):
        shutil.copy(path, folder / "slurm")
    return os.environ | {
        "DAPT_STATE": str(folder / "state"),
        "PATH": f"{Path(DAPT).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
    }


def only_training(folder: Path, ground: Path, steps: int) -> Path:
    """A repository in which `train@biomed` is next: its inputs are those of the ground, all else upstream of it but
    `check`'s are placeholders, and everything is in the cache and the lock, but not in the workspace.
    """
    folder.mkdir()
    copy_of_tree(folder)
    change(
        folder,
        {
            "train.steps": steps,
            "train.valid_every": 500,
            "train.save_every": 20,
            "train.window": 32,
            "train.batch": 8,
            "train.warmup": 5,
            "train.threads": 1,
            "train.precision": "fp32",
            "train.keep": [],
        },
    )
    for name, source in {
        "models/base": "models/base",
        "data/tokens/biomed": "data/tokens/biomed",
        "data/tokens/general": "data/tokens/biomed",
    }.items():
        shutil.copytree(ground / source, folder / name)
    git_and_dvc(folder, "dapt", "check")
    with Repo(folder) as repo:
        stages = [stage for stage in repo.index.stages if stage.name.split("@")[0] in BEFORE]
    for path in (Path(item.fs_path) for stage in stages for item in (*stage.deps, *stage.outs)):
        if not path.exists():
            file = path if path.suffix else path / "placeholder.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("{}")
    git_and_dvc(folder, "dvc", "commit", "--force", *(stage.name for stage in stages))
    git_and_dvc(folder, "git", "add", "-A")
    git_and_dvc(folder, "git", "commit", "-qm", "all but the training")
    for name in ("data", "models"):
        shutil.rmtree(folder / name)
    return folder
