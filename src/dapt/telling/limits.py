"""The limits on the CPU time and memory of a process that login nodes set (ulimit), as errors that the user can fix."""

import errno
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dapt.telling.errors import UserError

NOTICE = 5  # seconds of CPU time before the hard limit, at which the kernel kills the process without a word
NO_MEMORY = "failed to map segment|annot allocate memory|can't allocate memory"  # of the loader and of torch on a CPU
ELSEWHERE = "run it on a compute node (groups in slurm/cluster.yaml), or with a higher limit"


@contextmanager
def limits() -> Iterator[None]:
    """Turn the end of memory or of the CPU time of a process (ulimit), as login nodes limit them, into a UserError."""
    notice_cpu_time()
    try:
        yield
    except Exception as error:
        if not no_memory(error):
            raise
        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        limit = "" if most == resource.RLIM_INFINITY else f": a process may have {most / 1e9:.1f} GB (ulimit -v)"
        raise UserError(f"out of memory{limit}; {ELSEWHERE}") from error


def notice_cpu_time() -> None:
    """Have SIGXCPU raise a UserError, and come before the hard limit, at which the kernel kills the process."""
    soft, hard = (float("inf") if limit < 0 else limit for limit in resource.getrlimit(resource.RLIMIT_CPU))
    allowed = min(soft, hard)

    def is_up(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # it is sent every second, and would disturb cleaning up
        raise UserError(f"the CPU time of a process is limited to {allowed} s (ulimit -t); {ELSEWHERE}")

    if allowed < float("inf"):
        signal.signal(signal.SIGXCPU, is_up)
    if hard < float("inf"):
        resource.setrlimit(resource.RLIMIT_CPU, (int(min(soft, max(1, hard - NOTICE))), int(hard)))


def no_memory(error: Exception) -> bool:
    """Whether memory ran out: for Python, for the operating system, while a library was loaded, or for torch."""
    said = isinstance(error, ImportError | RuntimeError) and re.search(NO_MEMORY, str(error))
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM or bool(said)
