"""Python imports this file when it starts, if its folder is on PYTHONPATH. When a process of dapt or DVC ends, or the one that
makes the stand-ins, it appends a line of JSON to the file $DAPT_REHEARSAL_RECORDS: its arguments, seconds, peak memory, and
what it and its children wrote.
"""

import atexit
import os
import sys
import time

STARTED = time.time()


def record(path: str, command: list[str]) -> None:
    import json
    import re
    import resource

    def of_this_process(file: str, name: str) -> int:
        with open(f"/proc/self/{file}") as lines:
            return int(re.search(rf"^{name}:\s*(\d+)", lines.read(), re.M)[1])

    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    line = {
        "command": command,
        "seconds": round(time.time() - STARTED, 1),
        "memory_mb": max(of_this_process("status", "VmHWM"), children)
        // 1024,  # VmHWM: without the parent's before exec
        "written_mb": round(of_this_process("io", "write_bytes") / 1e6, 1),
        "job": os.environ.get("SLURM_JOB_ID"),
    }
    with open(path, "a") as file:
        file.write(json.dumps(line) + "\n")


def command_of(words: list[str]) -> list[str]:
    """`dapt train biomed` from the ways in which it is started; nothing for other programs.

    >>> command_of(["python", "-m", "dapt.launch.node", "biomed"])
    ['dapt', 'train', 'biomed']
    """
    rest = words[1:]
    if rest[:2] == ["-m", "dapt.launch.node"]:
        return ["dapt", "train", *rest[2:]]
    if rest[:1] == ["-m"]:
        rest = rest[1:]
    name = os.path.basename(rest[0]) if rest else ""
    return [name, *rest[1:]] if name in ("dapt", "dvc", "rehearsal") else []


if (_path := os.environ.get("DAPT_REHEARSAL_RECORDS")) and (_command := command_of(sys.orig_argv)):
    _process = os.getpid()
    atexit.register(lambda: os.getpid() == _process and record(_path, _command))
