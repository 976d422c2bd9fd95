"""The process that starts the stages of `dapt launch`, each as soon as its dependencies are done; it outlives the shell.

    python -m dapt.launch.conductor LIMIT < stages.json

It reads the stages (pipeline.outdated) from standard input. If another launch has started a stage, this one waits for it.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from dapt.core.paths import LOGS
from dapt.launch import background
from dapt.launch.pipeline import Stage
from dapt.telling import events, signals
from dapt.telling.errors import guarded

MODULE = ["-m", "dapt.launch.conductor"]
PAUSE = 1  # seconds between two checks of what is running


def start(stages: dict[str, Stage], limit: int) -> subprocess.Popen:
    """Start such a process in its own session; its output (only errors) goes to logs/launch.log."""
    LOGS.mkdir(exist_ok=True)
    given = json.dumps([(stage.name, stage.command, sorted(stage.needs)) for stage in stages.values()])
    with open(LOGS / "launch.log", "a") as file:
        process = subprocess.Popen(
            [sys.executable, *MODULE, str(limit)],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
    assert process.stdin is not None
    with process.stdin as stream:
        stream.write(given)
    return process


def stop_all() -> None:
    """Ask all such processes of this repository on this machine to exit."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cmdline()[1:3] == MODULE and Path(process.cwd()) == Path.cwd():
                process.terminate()


def startable(stages: dict[str, Stage], done: set[str], begun: Iterable[str]) -> list[Stage]:
    """The stages whose dependencies are done, and that have not been started."""
    return [stage for name, stage in stages.items() if name not in begun and stage.needs <= done]


def ended_well(stage: str, start: int) -> bool:
    """Whether a stage ended with code 0, according to its events from byte `start` on."""
    codes = [
        record["code"] for record in events.read(background.events_file(stage), start) if record["event"] == "ended"
    ]
    return codes[-1:] == [0]


def conduct(stages: dict[str, Stage], limit: int, asked: list[int]) -> None:
    """Start stages until nothing is running and nothing can be started. If `asked` to stop, ask the running stages to stop."""
    done: set[str] = set()
    stopped: set[str] = set()
    begun: dict[str, int] = {}  # stage → byte at which its events start
    while True:
        running = [name for name in begun if background.running(name)]
        done |= {name for name, start in begun.items() if name not in running and ended_well(name, start)}
        if asked:
            stopped |= {name for name in running if name not in stopped and background.stop(name)}
            limit = 0
        ready = startable(stages, done, begun)
        for stage in ready[: max(0, limit - len(running))]:
            begun[stage.name] = events.size(background.events_file(stage.name))
            background.start(stage)
        if not running and (not ready or not limit):
            return
        time.sleep(PAUSE)


def main(limit: int) -> None:
    asked: list[int] = []
    signals.listen(asked.append, [signal.SIGTERM])
    stages = [Stage(name, tuple(command), frozenset(needs)) for name, command, needs in json.load(sys.stdin)]
    conduct({stage.name: stage for stage in stages}, limit, asked)


if __name__ == "__main__":
    raise SystemExit(guarded("dapt launch", lambda: main(int(sys.argv[1]))))
