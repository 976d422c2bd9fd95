"""The program that srun starts once per node: runs accelerate with the number of processes and machines from Slurm's variables.

srun … python -m dapt.launch.node biomed
"""

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from dapt.core import config
from dapt.core.files import whole_file
from dapt.core.paths import LOGS
from dapt.launch import local
from dapt.telling.errors import UserError, guarded

PATIENCE = 300  # seconds that a node waits for the first node


def meeting_point(variables: Mapping[str, str]) -> Path:
    """The file on the shared file system in which the first node writes its address; a new one per start."""
    names = (variables["SLURM_JOB_ID"], variables["SLURM_STEP_ID"], variables.get("SLURM_RESTART_COUNT", "0"))
    return LOGS / f".first-node-{'-'.join(names)}"


@contextmanager
def met(path: Path, rank: int) -> Iterator[tuple[str, int]]:
    """Host name and a free port of the first node, the same on all nodes."""
    if rank == 0:
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        with whole_file(path) as file:
            file.write(f"{socket.gethostname()} {port}")
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            raise UserError(
                f"the first node did not write {path} within {PATIENCE} s; move the repository to a file system that all "
                "nodes share"
            )
        time.sleep(0.2)
    address, port = path.read_text().split()
    try:
        yield address, int(port)
    finally:
        if rank == 0:
            path.unlink()


def run(domain: str) -> None:
    variables = os.environ
    machines, rank = int(variables["SLURM_STEP_NUM_NODES"]), int(variables["SLURM_NODEID"])
    processes = torch.cuda.device_count() or 1
    threads = config.load().active.train.threads
    if machines == 1:
        local.start(domain, threads, local.Place(processes=processes))
    else:
        with met(meeting_point(variables), rank) as (address, port):
            local.start(domain, threads, local.Place(machines, rank, processes, address, port))


if __name__ == "__main__":
    raise SystemExit(guarded(f"dapt train {sys.argv[1]}", lambda: run(sys.argv[1])))
