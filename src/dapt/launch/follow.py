"""`dapt launch [TARGET …]`: brings stages up to date, as many in parallel as possible, in one workspace with one dvc.lock, and
shows their state in a table.

Each stage is a separate process (background.py), started when its dependencies are done (conductor.py). Both kinds of process
continue when this one exits; started again from any shell, it follows the running stages and starts the others.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table

from dapt.core import config
from dapt.core.paths import LOGS
from dapt.launch import background, cluster, conductor, pipeline
from dapt.launch.pipeline import Stage
from dapt.telling.errors import UserError

PAUSE = 1  # seconds between two reads of the events
BEGINS = {  # event → the state that starts with it
    "launched": "starting",
    "turn": "waits for its turn",
    "queued": "queued",
    "away": "no controller",
    "allocated": "starting",
    "started": "running",
    "resumed": "running",
    "step": "running",
    "valid": "running",
    "checkpoint": "running",
    "left": "left",
    "restarted": "restarting",
    "done": "done",
}
COLUMNS = {
    "job": "job",
    "queued": "queued since",
    "start": "estimated start",
    "node": "node",
    "step": "step",
    "steps": "of",
    "loss": "loss",
    "tokens_per_second": "tokens/s",
    "restarts": "restarts",
}  # fact → column heading


@dataclass
class State:
    """The state of a stage, according to its events."""

    state: str = "starting"
    started: bool = True
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.state in ("done", "up to date")

    @property
    def why(self) -> str:
        """Why the stage did not finish."""
        if self.state == "left" and "message" not in self.facts:
            return f"left at step {self.facts['step']}"
        return str(self.facts.get("message", self.state))

    def shown(self, fact: str) -> str:
        value = self.facts.get(fact, "")
        return (
            f"{value:.3f}"
            if isinstance(value, float)
            else f"{value:,}"
            if fact == "tokens_per_second" and value
            else str(value)
        )


def read(told: list[dict], running: bool) -> State:
    """The state according to the events since the launch. A stage that is gone without an `ended` event was killed."""
    state = State()
    for record in told:
        event = record["event"]
        state.state = BEGINS.get(event, state.state)
        shown = {"why", "message", "code", *COLUMNS} - (
            {"loss"} if event == "valid" else set()
        )  # show the training loss instead
        state.facts |= {name: value for name, value in record.items() if name in shown}
        if event == "queued":
            state.facts["queued"] = time.strftime("%m-%d %H:%M:%S", time.localtime(record["time"]))
        if event == "allocated":
            state.facts = {name: value for name, value in state.facts.items() if name not in ("queued", "start", "why")}
    code = state.facts.get("code")
    if code == 0:
        state.state = "done" if any(record["event"] == "done" for record in told) else "up to date"
    elif code is not None:
        state.state = "left" if state.state == "left" else "failed"
    elif not running:
        state.state = "killed"
    return state


def table(states: dict[str, State]) -> Table:
    """One row per stage; empty columns are omitted."""
    rows = [
        {
            "stage": name,
            "state": state.state
            + (f", {state.facts['why']}" if state.state == "queued" and "why" in state.facts else ""),
        }
        | {heading: state.shown(fact) for fact, heading in COLUMNS.items() if fact in state.facts}
        for name, state in states.items()
    ]
    columns = [name for name in ("stage", "state", *COLUMNS.values()) if any(name in row for row in rows)]
    shown = Table(box=None, pad_edge=False)
    for name in columns:
        shown.add_column(name, no_wrap=name != "state", min_width=8 if name == "state" else None)
    for row in rows:
        shown.add_row(*(row.get(name, "") for name in columns))
    return shown


def states_of(stages: dict[str, Stage]) -> dict[str, State]:
    """The state of each stage; one that has not been started waits for its dependencies."""
    running = {
        name for name in stages if background.running(name)
    }  # before the events are read: a stage may end in between
    states: dict[str, State] = {}
    for name, stage in stages.items():
        told = background.told(name)
        if name in running or any(record["event"] == "launched" for record in told):
            states[name] = read(told, name in running)
            continue
        lacking = sorted(need for need in stage.needs if not states[need].finished)
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        states[name] = State(f"waits for {lacking[0]}{more}" if lacking else "waits for its turn", started=False)
    return states


def follow(stages: dict[str, Stage], starter: subprocess.Popen) -> dict[str, State]:
    """Show the stages' states until `starter` exits: as a table on a terminal, otherwise one line per change."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    last: dict[str, str] = {}
    with Live(console=console, auto_refresh=False) as live:
        while True:
            ended = starter.poll() is not None
            states = states_of(stages)
            if console.is_terminal:
                live.update(table(states), refresh=True)
            for name, state in states.items():
                line = f"{name}: {state.state}" + "".join(
                    f", {fact} {state.facts[fact]}" for fact in ("job", "node") if fact in state.facts
                )
                if not console.is_terminal and line != last.get(name) and state.started:
                    print(line, flush=True)
                last[name] = line
            if ended:
                break
            time.sleep(PAUSE)
    if not console.is_terminal:
        console.print(table(states))
    return states


def run(targets: list[str], partition: str | None, limit: int) -> None:
    domains = config.load().domains
    cluster.launcher(os.environ.get("DAPT_LAUNCHER"), cluster.load(), partition)  # refuses an unknown launcher
    if limit < 1:
        raise UserError(f"--at-once is {limit}; it must be at least 1")
    if partition:
        os.environ["DAPT_PARTITION"] = partition
    stages = pipeline.outdated(targets, domains, background.running)
    if not stages:
        print("everything is up to date")
        return
    for name in stages:
        background.plan(name)
    again = f"dapt launch {' '.join(targets)}".rstrip()
    try:
        states = follow(stages, conductor.start(stages, limit))
    except KeyboardInterrupt:
        print(
            f"\nthe stages continue in the background; follow them again: {again}; "
            f"stop them: {again.replace('launch', 'launch --stop')}"
        )
        return
    if problem := unfinished(states):
        raise UserError(f"{problem}; run the same command again to continue")


def unfinished(states: dict[str, State]) -> str | None:
    """Which stages did not finish, and why; None if all finished."""
    failed = [
        f"{name} ({state.why}; log: {background.log(name)})"
        for name, state in states.items()
        if state.started and not state.finished
    ]
    waiting = sum(not state.started for state in states.values())
    if not failed and not waiting:
        return None
    parts = [f"{len(failed)} of {len(states)} did not finish: {'; '.join(failed)}"] if failed else []
    parts += [f"{waiting} were not started" + ("" if failed else f", see {LOGS}/launch.log")] if waiting else []
    return "; ".join(parts)


def stop(targets: list[str]) -> None:
    """Ask the running stages to save and exit. Without a target: all of them, and no further stage is started."""
    names = pipeline.named(targets, config.load().domains)
    if not targets:
        conductor.stop_all()
    asked = [name for name in names if background.stop(name)]
    for name in names if targets else asked:
        print(f"{name}: {'asked to save and exit' if name in asked else 'not running'}")
    if not targets and not asked:
        print("no stage is running")
