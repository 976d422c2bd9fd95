"""Limits how many stages run on this machine at the same time: one slot per GPU, or per group of CPU threads.

A slot is a lock file in logs/, so all launches of a repository share the slots.
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
    """The visible GPUs, as numbers or names for CUDA_VISIBLE_DEVICES."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    if not shutil.which("nvidia-smi"):
        return []
    done = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)
    return [str(number) for number, line in enumerate(done.stdout.splitlines()) if line.startswith("GPU ")]


def slots(threads: int) -> dict[str, dict[str, str]]:
    """Slot → environment variables of a stage that runs in it: one slot per GPU, or without GPUs one per `threads` CPU
    cores."""
    if found := cards():
        return {f"gpu-{card.replace('/', '-')}": {"CUDA_VISIBLE_DEVICES": card} for card in found}
    cores = len(psutil.Process().cpu_affinity())
    return {f"processor-{number}": {} for number in range(max(1, cores // threads))}


@contextmanager
def slot(threads: int, given_up: Callable[[], bool], waits: Callable[[], None]) -> Iterator[dict[str, str] | None]:
    """Wait for a free slot and hold it; gives its variables, or None if `given_up` becomes true first. `waits` is called once
    if all slots are taken."""
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
