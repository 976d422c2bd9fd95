"""How much of this machine stages that run here may use at once: a slot for each GPU, or for each team of processor threads.

A slot is a lock file in logs/, so that all launches of a repository share them.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from dapt.core.files import lock_taken
from dapt.core.paths import LOGS


def cards() -> list[str]:
    """The GPUs that CUDA shows here, by the number or name that CUDA_VISIBLE_DEVICES takes."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    if not shutil.which("nvidia-smi"):
        return []
    done = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)
    return [str(number) for number, line in enumerate(done.stdout.splitlines()) if line.startswith("GPU ")]


def slots(threads: int) -> dict[str, dict[str, str]]:
    """Slot → the environment variables of what runs in it: one for each GPU, else as many as the processor has teams of
    `threads`."""
    if found := cards():
        return {f"gpu-{card.replace('/', '-')}": {"CUDA_VISIBLE_DEVICES": card} for card in found}
    cores = len(psutil.Process().cpu_affinity())
    return {f"processor-{number}": {} for number in range(max(1, cores // threads))}


@contextmanager
def slot(threads: int, given_up: Callable[[], bool], waits: Callable[[], None]) -> Iterator[dict[str, str] | None]:
    """The variables of a free slot, which is held meanwhile; None where `given_up` comes first. `waits` is called once
    where all are taken."""
    places = slots(threads)
    files = {name: open(LOGS / f".slot-{name}", "w") for name in places}
    try:
        said = False
        while not given_up():
            for name, file in files.items():
                if lock_taken(file):
                    yield places[name]
                    return
            if not said:
                waits()
            said = True
            time.sleep(1)
        yield None
    finally:
        for file in files.values():
            file.close()
