"""What every bench needs: a process of its own for each run, and the memory that it took."""

import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

MEGA = 1e6
Result = TypeVar("Result")


def apart(job: Callable[..., Result], *given: object) -> Result:
    """What `job` returns in a process of its own, so that no run finds another's memory or imports. What is printed
    there, by whatever library, goes to standard error: standard output holds the bench's own lines alone."""
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=os.dup2, initargs=(2, 1)) as pool:
        return pool.submit(job, *given).result()


def peak_mb() -> float:
    """The most memory that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MEGA
