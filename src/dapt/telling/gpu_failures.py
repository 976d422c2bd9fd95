"""Turns GPU failures into one-line messages: memory is full, and who uses it, or CUDA reports an error."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from dapt.telling.errors import UserError, short

GB = 1e9
CONTEXT = 0.5  # GB of GPU memory that CUDA itself uses per process
FULL = "CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED"
QUERY = "gpu_uuid,pid,process_name,used_gpu_memory"


@dataclass(frozen=True)
class Holder:
    """A process that uses memory of a GPU; in some containers the driver hides how much."""

    pid: int
    name: str
    gigabytes: float


def holders(uuid: str) -> list[Holder]:
    """The processes on a GPU according to nvidia-smi; empty if it is not available."""
    if not shutil.which("nvidia-smi"):
        return []
    ask = ["nvidia-smi", f"--query-compute-apps={QUERY}", "--format=csv,noheader,nounits"]
    found = []
    for line in subprocess.run(ask, capture_output=True, text=True, timeout=30).stdout.splitlines():
        if match := re.fullmatch(r"(?:GPU-)?(\S+), (\d+), (.*), (\S+)", line.strip()):
            where, pid, name, megabytes = match.groups()
            if where == uuid.removeprefix("GPU-"):
                found.append(Holder(int(pid), name, int(megabytes) * 2**20 / GB if megabytes.isdigit() else 0.0))
    return found


def full(name: str, total: float, free: float, ours: float, others: list[Holder]) -> tuple[str, bool]:
    """Describe who uses a GPU's memory (in GB), and whether other processes use much of it."""
    theirs = total - free - ours - CONTEXT
    text = f"{name} has {free:.1f} of {total:.1f} GB free"
    if theirs < 0.1 * total:
        return text, False
    # A process with more memory than all others together is this one, under its process number outside the container.
    some = [one for one in others if one.gigabytes <= theirs + CONTEXT]
    named = "; ".join(f"process {one.pid}, {one.name}, {one.gigabytes:.1f} GB" for one in some)
    return f"{text}, and other processes hold {theirs:.1f} GB{f' ({named})' * bool(named)}", True


def memory() -> tuple[str, bool]:
    """`full` for the GPU that this process runs on."""
    if not torch.cuda.is_available():
        return "there is no GPU", False
    here, (free, total) = torch.cuda.get_device_properties(), torch.cuda.mem_get_info()
    others = [one for one in holders(str(here.uuid)) if one.pid != os.getpid()]
    return full(here.name, total / GB, free / GB, torch.cuda.memory_reserved() / GB, others)


def is_cuda_error(error: Exception) -> bool:
    """Whether the error comes from CUDA or one of its libraries, not from the program."""
    return isinstance(error, RuntimeError) and bool(re.search(r"CUDA error|CUBLAS_STATUS|CUDNN_STATUS", str(error)))


def out_of_memory(mend: str, where: str = "") -> str:
    """A message about full memory: who uses it, and what to do: `mend`, or wait if other processes use the memory."""
    text, others = memory()
    wait = "wait for them to end, or choose another GPU with CUDA_VISIBLE_DEVICES"
    return f"out of memory{where}: {text}; {wait if others else mend}"


@contextmanager
def gpu_failures(mend: str, kept: Callable[[], str] = lambda: "this stage has saved nothing") -> Iterator[None]:
    """Turn GPU failures in the block into UserErrors: `mend` says how to use less memory, `kept` what has been saved. With
    CUDA_LAUNCH_BLOCKING=1 a CUDA error stays a traceback, which then shows the operation that failed."""
    try:
        yield
    except RuntimeError as error:  # which torch.OutOfMemoryError is
        if isinstance(error, torch.OutOfMemoryError) or re.search(FULL, str(error)):
            raise UserError(out_of_memory(mend)) from error
        if not is_cuda_error(error) or os.environ.get("CUDA_LAUNCH_BLOCKING") == "1":
            raise
        if "busy or unavailable" in str(error):
            raise UserError(
                f"{short(error)}: another process has exclusive use of the GPU; wait, or choose another GPU with "
                "CUDA_VISIBLE_DEVICES"
            ) from error
        raise UserError(
            f"{short(error)}: {kept()}; run again; if it fails at the same place, set CUDA_LAUNCH_BLOCKING=1 to see the "
            "operation; if it fails at a different place each time, look for Xid errors in `dmesg`: the GPU may be faulty"
        ) from error
