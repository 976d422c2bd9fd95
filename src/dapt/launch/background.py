"""One training of `dapt launch`: `dvc repro -s train@X` as a process of its own, which outlives the shell.

All that it says is in logs/launch-X.log, what it does in its events; it holds a lock on that log as long as anything of
it runs, so that whether it runs can be asked from any shell of this machine.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from dapt.core.files import lock_taken
from dapt.core.paths import LOGS, events_file, events_of
from dapt.launch import cluster
from dapt.telling import events, signals


def log(domain: str) -> Path:
    return LOGS / f"launch-{domain}.log"


def told(domain: str) -> list[dict]:
    """The events of the training since it was last launched."""
    found = [record for record in events.read(events_file("train", domain)) if record.get("name") == domain]
    launches = [place for place, record in enumerate(found) if record["event"] == "launched"]
    return found[launches[-1] :] if launches else []


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
        return not lock_taken(file, fcntl.LOCK_SH)


def start(domain: str) -> None:
    """Start it, unless it runs."""
    LOGS.mkdir(exist_ok=True)
    with open(log(domain), "a") as file:
        if not lock_taken(file):
            return
        file.truncate(0)
        events_of("train", domain).tell("launched")
        subprocess.Popen(
            [sys.executable, "-m", "dapt.launch.background", domain],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment(),
        )


def stop(domain: str) -> bool:
    """Ask it to save and to end; False where none runs."""
    found = [record["pid"] for record in told(domain) if record["event"] == "begun"] if running(domain) else []
    if found:
        os.kill(found[-1], signal.SIGTERM)
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


def run(domain: str, tell: Callable[..., None]) -> int:
    """Run the stage in this process's place, and pass SIGTERM on to the training: DVC would leave it behind."""
    asked: list[int] = []
    signals.listen(asked.append, [signal.SIGTERM])
    tell("begun", pid=os.getpid())
    with open(LOGS / ".launch-turn", "w") as turn:
        if cluster.launcher(os.environ.get("DAPT_LAUNCHER"), cluster.load()) == "local":
            tell("turn")
            while not asked and not lock_taken(turn):
                time.sleep(1)
        if asked:
            return signals.CODE
        process = subprocess.Popen(dvc("repro", "-s", f"train@{domain}"))
        passed_on = False
        while process.poll() is None:
            if asked and not passed_on and (training := _training(process, domain)):
                training.terminate()
                passed_on = True
            time.sleep(0.2)
    return process.returncode


def main(domain: str) -> None:
    tell = events_of("train", domain).tell
    tell("ended", code=run(domain, tell))


if __name__ == "__main__":
    main(sys.argv[1])
