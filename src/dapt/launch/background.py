"""One stage of `dapt launch`: `dvc repro -s STAGE` in its own process, which outlives the shell.

Its output goes to logs/launch-STAGE.log, and it writes events. It and its child processes hold a lock on the log, so any
shell on this machine can find out whether the stage is running.

    python -m dapt.launch.background train@biomed dapt train biomed
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import psutil

from dapt.core import config
from dapt.core.files import lock_taken
from dapt.core.paths import LOGS
from dapt.launch import dispatch
from dapt.launch.pipeline import BUSY, PAUSE, TRIES, Stage
from dapt.launch.slots import slot
from dapt.telling import events, signals
from dapt.telling.errors import UserError, guarded
from dapt.telling.events import Events

STARTUP = 20  # seconds to wait until a newly started process can be asked to stop


def log(stage: str) -> Path:
    return LOGS / f"launch-{stage.replace('@', '-')}.log"


def events_file(stage: str) -> Path:
    return LOGS / f"{stage.replace('@', '-')}.jsonl"


def events_of(stage: str) -> Events:
    kind, _, name = stage.partition("@")
    return Events(events_file(stage), kind, name)


def told(stage: str) -> list[dict]:
    """The events of a stage since it was last planned or launched."""
    found = events.read(events_file(stage))
    launches = [place for place, record in enumerate(found) if record["event"] in ("planned", "launched")]
    return found[launches[-1] :] if launches else []


def environment(stage: str) -> dict[str, str]:
    """Environment of a stage, with this interpreter's `dapt` first on PATH, since the stages' commands call it by name."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DAPT_EVENTS": str(events_file(stage).absolute()),
    }


def running(stage: str) -> bool:
    if not log(stage).exists():
        return False
    with open(log(stage)) as file:
        return not lock_taken(file, fcntl.LOCK_SH)


def plan(stage: str) -> None:
    """Mark a stage as planned, which hides its older events, unless it is running."""
    if not running(stage):
        events_of(stage).tell("planned")


def start(stage: Stage) -> None:
    """Start a stage, unless it is running."""
    LOGS.mkdir(exist_ok=True)
    with open(log(stage.name), "a") as file:
        while not lock_taken(file):
            if not lock_taken(file, fcntl.LOCK_SH):
                return
            fcntl.flock(file, fcntl.LOCK_UN)  # a shared lock: somebody is only asking whether it runs
            time.sleep(0.05)
        file.truncate(0)
        events_of(stage.name).tell("launched")
        subprocess.Popen(
            [sys.executable, "-m", "dapt.launch.background", stage.name, *stage.command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment(stage.name),
        )


def stop(stage: str) -> bool:
    """Ask a stage to save and exit; False if it is not running."""
    deadline = time.monotonic() + STARTUP
    while running(stage) and time.monotonic() < deadline:
        for record in told(stage):
            if record["event"] == "begun":
                with suppress(ProcessLookupError):  # the process has ended, and only its children are left
                    os.kill(record["pid"], signal.SIGTERM)
                    return True
                return False
        time.sleep(0.2)
    return False


def _child(process: subprocess.Popen, command: list[str]) -> psutil.Process | None:
    """The process of the stage's command, which DVC has started."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if child.cmdline()[-len(command) + 1 :] == command[1:]:
                return child
        except psutil.NoSuchProcess:
            continue
    return None


def run(stage: str, command: list[str], tell: Callable[..., None]) -> int:
    """Run the stage as soon as a slot is free, and pass SIGTERM on to its command, since DVC would leave that running."""
    asked: list[int] = []
    signals.listen(asked.append, [signal.SIGTERM])
    tell("begun", pid=os.getpid())
    threads = config.load().active.train.threads
    here = dispatch.asked_for(stage.partition("@")[0]) is None
    anywhere: AbstractContextManager[dict[str, str] | None] = nullcontext({})
    with slot(threads, lambda: bool(asked), lambda: tell("turn")) if here else anywhere as variables:
        for tries in range(1, TRIES + 1):
            if asked or variables is None:
                return signals.CODE
            code = _repro(stage, command, variables, asked)
            if code == 0 or BUSY not in log(stage).read_text(errors="replace") or tries == TRIES:
                break
            log(stage).write_text("")
            time.sleep(PAUSE)
    return code


def _repro(stage: str, command: list[str], variables: dict[str, str], asked: list[int]) -> int:
    """Run DVC and return its exit code. It waits for the lock of other DVC commands: failing would lose the stage's work."""
    words = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "-s", stage]
    process = subprocess.Popen(words, env=os.environ | variables)
    passed_on = False
    while process.poll() is None:
        if asked and not passed_on and (child := _child(process, command)):
            child.terminate()
            passed_on = True
        time.sleep(0.2)
    return process.returncode


def main(stage: str, *command: str) -> None:
    found, code = events_of(stage), 1  # the code if an unexpected exception ends this process

    def act() -> None:
        nonlocal code
        with found.failures():
            code = run(stage, list(command), found.tell)

    try:
        code = guarded(f"dapt launch: {stage}", act) or code
    finally:
        with suppress(UserError):  # the disk is full; the log says so
            found.tell("ended", code=code)


if __name__ == "__main__":
    main(*sys.argv[1:])
