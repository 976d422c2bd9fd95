"""Runs several pieces of CPU work in parallel, each in its own process.

The processes are forked: they share the data that this one has read, and start in milliseconds. This process must not have
run a multi-threaded parallel region before, since its threads do not survive a fork.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from dapt.telling.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
_work: Callable | None = None  # the function to run: forked processes inherit it, so it need not be pickled


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item], processes: int) -> list[Result]:
    """work(item) for each item, in the order of the items, by up to `processes` at once; the first error ends them all."""
    global _work
    _work = work
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin)
    try:
        futures = [pool.submit(_call, item) for item in items]
        for future in as_completed(futures):
            future.result()
        pool.shutdown()  # waits: a process that ends while the pool closes its pipes prints errors about them
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise UserError(
            "a process was killed, most likely because memory ran out; set finetune.threads higher, so that fewer seeds "
            "are trained at the same time"
        ) from None
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _call(item: Any) -> Any:
    assert _work is not None
    return _work(item)


def _begin() -> None:
    """In each process: ignore ^C, which the parent process handles, and exit if the parent dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
