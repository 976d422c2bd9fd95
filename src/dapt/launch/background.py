"""One training of `dapt launch`: `dvc repro -s train@X` as a process of its own, which outlives the shell.

All that it says is in logs/launch-X.log; it holds a lock on that file as long as anything of it runs, so that whether it
runs can be asked from any shell of this machine.
"""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import psutil

from dapt.launch import cluster
from dapt.core.paths import LOGS

BEGUN = "launch: process"
ENDED = "launch: ended with code"
TURN = "launch: waits for its turn"


def _taken(file: IO, lock: int = fcntl.LOCK_EX) -> bool:
    """Take the file's lock if it is free; what this process starts with the file as its output holds it too."""
    try:
        fcntl.flock(file, lock | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def log(domain: str) -> Path:
    return LOGS / f"launch-{domain}.log"


def dvc(*words: str) -> list[str]:
    """DVC with this interpreter; another DVC command's lock is waited for, since a refusal would lose a training."""
    return [sys.executable, "-m", "dvc", "--wait-for-lock", *words]


def environment() -> dict[str, str]:
    """With the `dapt` of this interpreter first, as the stages' commands name it."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def running(domain: str) -> bool:
    if not log(domain).exists():
        return False
    with open(log(domain)) as file:
        return not _taken(file, fcntl.LOCK_SH)


def start(domain: str) -> None:
    """Start it, unless it runs."""
    LOGS.mkdir(exist_ok=True)
    with open(log(domain), "a") as file:
        if not _taken(file):
            return
        file.truncate(0)
        subprocess.Popen([sys.executable, "-m", "dapt.launch.background", domain], stdin=subprocess.DEVNULL, stdout=file,
                         stderr=subprocess.STDOUT, start_new_session=True, env=environment())


def stop(domain: str) -> bool:
    """Ask it to save and to end; False where none runs."""
    found = running(domain) and re.search(rf"{BEGUN} (\d+)", log(domain).read_text())
    if found:
        os.kill(int(found[1]), signal.SIGTERM)
    return bool(found)


def _training(process: subprocess.Popen, domain: str) -> psutil.Process | None:
    """The `dapt train X` that DVC has started."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if child.cmdline()[-2:] == ["train", domain]:
                return child
        except psutil.NoSuchProcess:
            continue
    return None


def run(domain: str) -> int:
    """Run the stage in this process's place, and pass SIGTERM on to the training: DVC would leave it behind."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    print(BEGUN, os.getpid(), flush=True)
    with open(LOGS / ".launch-turn", "w") as turn:
        if cluster.launcher(os.environ.get("DAPT_LAUNCHER"), cluster.load()) == "local":
            print(TURN, flush=True)
            while not asked and not _taken(turn):
                time.sleep(1)
        if asked:
            return 75
        process = subprocess.Popen(dvc("repro", "-s", f"train@{domain}"))
        told = False
        while process.poll() is None:
            if asked and not told and (training := _training(process, domain)):
                training.terminate()
                told = True
            time.sleep(0.2)
    return process.returncode


if __name__ == "__main__":
    print(ENDED, run(sys.argv[1]), flush=True)
