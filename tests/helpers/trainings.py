"""`dapt train biomed` as processes that a test can kill: by its command, or forked from one that has imported torch."""

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from pathlib import Path


def environment(folder: Path) -> dict[str, str]:
    return {"DAPT_STATE": str(folder / "state")}


def by_command(folder: Path) -> subprocess.Popen:
    """`dapt train biomed`, which starts the training as a process of its own."""
    return subprocess.Popen(
        [Path(sys.executable).parent / "dapt", "train", "biomed"],
        cwd=folder,
        text=True,
        env=os.environ | environment(folder),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


class Forked:
    """`python -m dapt.stages.train biomed` without the seconds that it takes to import torch."""

    def __init__(self, folder: Path, variables: dict[str, str] | None = None, fails_in: int | None = None):
        """`variables`: more of its environment; `fails_in`: a step in which CUDA reports an error."""
        variables = environment(folder) | (variables or {})
        self.output = folder / f"output.{variables.get('RANK', 0)}"
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["dapt.stages.train", "torch._dynamo"])  # an optimizer imports the latter
        self.process = context.Process(target=train, args=(folder, self.output, variables, fails_in), daemon=True)
        self.process.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> tuple[int, str]:
        """Wait for it; its exit code, negative where a signal ended it, and what it said."""
        self.process.join()
        return self.process.exitcode, self.output.read_text(encoding="utf-8")


def train(folder: Path, output: Path, variables: dict[str, str], fails_in: int | None) -> None:
    """What the forked process does."""
    import torch

    from dapt.mlm.batches import TrainingBatches
    from dapt.stages.train import run
    from dapt.telling.errors import guarded

    os.setsid()
    os.chdir(folder)
    os.environ.update(variables)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    batch_of = TrainingBatches.__call__

    def failing(self: TrainingBatches, step: int) -> object:
        if step + 1 == fails_in:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nmore lines")
        return batch_of(self, step)

    TrainingBatches.__call__ = failing
    raise SystemExit(guarded("dapt train biomed", lambda: run("biomed")))


def several(folder: Path, processes: int) -> list[Forked]:
    """A training by several processes that find each other as torchrun tells them to."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(found.getsockname()[1])}
    sizes = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    ranks = ({"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes))
    return [Forked(folder, meeting | sizes | rank) for rank in ranks]


def wait_for_checkpoint(folder: Path, step: int) -> None:
    """Until a checkpoint of this step or a later one is there."""
    deadline = time.monotonic() + 60
    while not any(int(path.name[5:]) >= step for path in folder.glob("state/*/step-*")):
        assert time.monotonic() < deadline, "no checkpoint in a minute"
        time.sleep(0.01)
