"""`dapt launch [TARGET …]`: brings stages up to date, as many at once as can be, in one workspace and one dvc.lock, and
shows a table of where they are.

Each is a process of its own (background.py), started when all that it needs is there (conductor.py). Both go on when this
one is left; started again from any shell, this one follows what runs and starts what does not.
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

PAUSE = 1  # seconds between two looks at the events
BEGINS = {  # event → the state that begins with it
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
}  # fact → heading


@dataclass
class State:
    """Where a stage is, as its events tell."""

    state: str = "starting"
    started: bool = True
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.state in ("done", "up to date")

    @property
    def why(self) -> str:
        """Why it did not finish."""
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
    """The state that the events since the launch tell of. One that ended without a word was killed."""
    state = State()
    for record in told:
        event = record["event"]
        state.state = BEGINS.get(event, state.state)
        shown = {"why", "message", "code", *COLUMNS} - (
            {"loss"} if event == "valid" else set()
        )  # the training's loss is
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
    """One row per stage; columns that say nothing yet are left out."""
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
    """Where each is; one that was not started yet waits for what it needs."""
    running = {name for name in stages if background.running(name)}  # first: one may end in between
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
    """Show where they are until what starts them ends: a table on a terminal, else a line when something changes."""
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
    cluster.launcher(os.environ.get("DAPT_LAUNCHER"), cluster.load(), partition)  # refuses what is not understood
    if limit < 1:
        raise UserError(f"--at-once is {limit}; at least one stage must run")
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
            f"\nleft; they continue. {again}: look again; {again.replace('launch', 'launch --stop')}: have them save and end"
        )
        return
    if problem := unfinished(states):
        raise UserError(f"{problem}; the same command takes them up again")


def unfinished(states: dict[str, State]) -> str | None:
    """What did not finish, and why; None where all did."""
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
    """Have those that run save and end; without a target all of them, and nothing more is started."""
    names = pipeline.named(targets, config.load().domains)
    if not targets:
        conductor.stop_all()
    asked = [name for name in names if background.stop(name)]
    for name in names if targets else asked:
        print(f"{name}: {'is asked to save and end' if name in asked else 'does not run'}")
    if not targets and not asked:
        print("nothing runs")
