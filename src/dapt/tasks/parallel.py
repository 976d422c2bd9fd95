"""Work on a processor, several pieces side by side, each in a process of its own.

The processes are forked: they have all that this one has read, and start in milliseconds. The work must not have begun a
parallel region of several threads here before, whose threads a fork does not take along.
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
_work: Callable | None = None  # what the forked processes do: they inherit it, so that it need not be pickled


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item], processes: int) -> list[Result]:
    """work(item) of each item, in their order, by so many processes at once; the first error ends them all."""
    global _work
    _work = work
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin)
    try:
        futures = [pool.submit(_call, item) for item in items]
        for future in as_completed(futures):
            future.result()
        pool.shutdown()  # waits: a process that ends while the pool still closes its pipes complains of them
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise UserError(
            "a process was ended from outside, most likely since memory ran out; with more threads to each, fewer "
            "run at once (finetune.threads)"
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
    """In each process: ^C is for the one that started it, and without that one it ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
