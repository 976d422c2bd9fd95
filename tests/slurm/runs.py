"""`dapt train biomed` through Slurm in a copy of the ground, for the tests to interrupt."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import NODES, Cluster, wait_until
from repositories import ROOT
from ruamel.yaml import YAML

from dapt.files import sha256

DAPT = str(Path(sys.executable).parent / "dapt")
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
            self.process = subprocess.Popen([DAPT, "train", "biomed"], cwd=self.folder, stdout=file, stderr=file,
                                            env=variables)

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
        wait_until(lambda: newest(self.folder) >= step, 60, "a checkpoint")
        return re.findall(r": job (\d+) on ", self.said())[-1]

    def end(self, code: int = 0) -> str:
        assert self.process.wait(120) == code, self.said()
        return self.said()


def newest(folder: Path) -> int:
    """The step of the newest checkpoint, or -1."""
    found = (path.name.removeprefix("step-") for path in folder.glob("state/*/step-*"))
    return max((int(name) for name in found if name.isdigit()), default=-1)


@contextmanager
def preempted(cluster: Cluster) -> Iterator[None]:
    """A job of the partition gpu takes all nodes for a moment; Slurm ends for it what runs in gpu-preempt."""
    words = ["srun", "--partition=gpu", f"--nodes={NODES}", "--exclusive", "sleep", "1"]
    other = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    assert other.wait() == 0


def same(one: Path, other: Path) -> bool:
    return sha256(one / WEIGHTS) == sha256(other / WEIGHTS)


def by_hand(ground: Path, folder: Path) -> dict[str, str]:
    """A copy of the ground with the scripts, and the environment in which `python` is this one."""
    subprocess.run(["cp", "-r", ground, folder], check=True)
    for path in (ROOT / "slurm").glob("*.sh"):
        shutil.copy(path, folder / "slurm")
    return os.environ | {"DAPT_STATE": str(folder / "state"), "PATH": f"{Path(DAPT).parent}:{os.environ['PATH']}",
                         "PYTHONPATH": str(ROOT / "src")}
