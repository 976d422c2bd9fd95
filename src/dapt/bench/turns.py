"""What every benchmark needs: a new process for each run, and its peak memory."""

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
    """Run `job` in a new process and return its result, so that no run is affected by another's memory or imports. Everything
    that libraries print there goes to standard error: standard output has only the benchmark's own lines."""
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=os.dup2, initargs=(2, 1)) as pool:
        return pool.submit(job, *given).result()


def peak_mb() -> float:
    """Peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MEGA
