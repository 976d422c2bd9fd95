"""A GPU that fails, in one line: its memory is full, and of whom, or CUDA reports an error."""

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
CONTEXT = 0.5  # GB that CUDA takes of a GPU for a process
FULL = "CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED"
QUERY = "gpu_uuid,pid,process_name,used_gpu_memory"


@dataclass(frozen=True)
class Holder:
    """A process that holds memory of a GPU; the driver hides how much in some containers."""

    pid: int
    name: str
    gigabytes: float


def holders(uuid: str) -> list[Holder]:
    """The processes on a GPU, as the driver's own program lists them; none where it does not."""
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
    """Who holds a GPU's memory, in GB, and whether it is others who do."""
    theirs = total - free - ours - CONTEXT
    text = f"{name} has {free:.1f} of {total:.1f} GB free"
    if theirs < 0.1 * total:
        return text, False
    # One that holds more than all others is this process, under the number that a container's host gives it.
    some = [one for one in others if one.gigabytes <= theirs + CONTEXT]
    named = "; ".join(f"process {one.pid}, {one.name}, {one.gigabytes:.1f} GB" for one in some)
    return f"{text}, and other processes hold {theirs:.1f} GB{f' ({named})' * bool(named)}", True


def memory() -> tuple[str, bool]:
    """`full` of the GPU that this process runs on."""
    if not torch.cuda.is_available():
        return "there is no GPU", False
    here, (free, total) = torch.cuda.get_device_properties(), torch.cuda.mem_get_info()
    others = [one for one in holders(str(here.uuid)) if one.pid != os.getpid()]
    return full(here.name, total / GB, free / GB, torch.cuda.memory_reserved() / GB, others)


def is_cuda_error(error: Exception) -> bool:
    """Whether CUDA or one of its libraries reports this, and not the program."""
    return isinstance(error, RuntimeError) and bool(re.search(r"CUDA error|CUBLAS_STATUS|CUDNN_STATUS", str(error)))


def out_of_memory(mend: str, where: str = "") -> str:
    """That it is, whose memory, and what to do: `mend`, or wait where others hold the memory."""
    text, others = memory()
    wait = "wait for them to end, or choose another GPU with CUDA_VISIBLE_DEVICES"
    return f"out of memory{where}: {text}; {wait if others else mend}"


@contextmanager
def gpu_failures(mend: str, kept: Callable[[], str] = lambda: "nothing of this stage is kept") -> Iterator[None]:
    """Failures of the GPU in the block as UserErrors: `mend` is how to need less memory, `kept` says what is saved. With
    CUDA_LAUNCH_BLOCKING=1 an error of CUDA stays a traceback, which then shows the operation."""
    try:
        yield
    except RuntimeError as error:  # which torch.OutOfMemoryError is
        if isinstance(error, torch.OutOfMemoryError) or re.search(FULL, str(error)):
            raise UserError(out_of_memory(mend)) from error
        if not is_cuda_error(error) or os.environ.get("CUDA_LAUNCH_BLOCKING") == "1":
            raise
        if "busy or unavailable" in str(error):
            raise UserError(
                f"{short(error)}: another process has the GPU for itself; wait, or choose another with "
                "CUDA_VISIBLE_DEVICES"
            ) from error
        raise UserError(
            f"{short(error)}: {kept()}; run it again, and if it fails at the same place, with CUDA_LAUNCH_BLOCKING=1, "
            "which shows the operation; if at another each time, look for Xid in `dmesg`: the card is at fault"
        ) from error
