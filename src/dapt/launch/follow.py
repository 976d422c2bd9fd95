"""`dapt launch X Y Z`: several trainings at once, in one workspace and one dvc.lock, and a table of where they are.

What they depend on is brought up to date first. Each then is a process of its own (background.py), which continues when
this one is left; started again from any shell, this one follows those that run and starts those that don't.
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
from dapt.launch import background, cluster
from dapt.telling.errors import UserError

PAUSE = 1  # seconds between two looks at the events
BEGINS = {  # event → the state that begins with it
    "launched": "starting",
    "turn": "waits for its turn",
    "queued": "queued",
    "away": "no controller",
    "allocated": "starting",
    "started": "training",
    "resumed": "training",
    "step": "training",
    "valid": "training",
    "checkpoint": "training",
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
    """Where a training is, as its events tell."""

    state: str = "starting"
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.state in ("done", "trained before")

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
    code = state.facts.get("code")
    if code == 0:
        state.state = "done" if any(record["event"] == "done" for record in told) else "trained before"
    elif code is not None:
        state.state = "left" if state.state == "left" else "failed"
    elif not running:
        state.state = "killed"
    return state


def table(states: dict[str, State]) -> Table:
    """One row per training; columns that say nothing yet are left out."""
    rows = [
        {
            "domain": domain,
            "state": state.state
            + (f", {state.facts['why']}" if state.state == "queued" and "why" in state.facts else ""),
        }
        | {heading: state.shown(fact) for fact, heading in COLUMNS.items() if fact in state.facts}
        for domain, state in states.items()
    ]
    columns = [name for name in ("domain", "state", *COLUMNS.values()) if any(name in row for row in rows)]
    shown = Table(box=None, pad_edge=False)
    for name in columns:
        shown.add_column(name, no_wrap=name != "state")
    for row in rows:
        shown.add_row(*(row.get(name, "") for name in columns))
    return shown


def follow(domains: list[str]) -> dict[str, State]:
    """Show where they are until all have ended: a table on a terminal, else a line when something changes."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    last: dict[str, str] = {}
    with Live(console=console, auto_refresh=False) as live:
        while True:
            running = {domain: background.running(domain) for domain in domains}  # first: one may end in between
            states = {domain: read(background.told(domain), runs) for domain, runs in running.items()}
            if console.is_terminal:
                live.update(table(states), refresh=True)
            for domain, state in states.items():
                line = f"{domain}: {state.state}" + "".join(
                    f", {name} {state.facts[name]}" for name in ("job", "node") if name in state.facts
                )
                if not console.is_terminal and line != last.get(domain):
                    print(line, flush=True)
                last[domain] = line
            if not any(running.values()):
                break
            time.sleep(PAUSE)
    if not console.is_terminal:
        console.print(table(states))
    return states


def _prepare() -> None:
    """Bring up to date what all trainings read; not while one of them reads it, as DVC would refuse."""
    done = subprocess.run(background.dvc("repro", "tokenize", "base"), env=background.environment())
    if done.returncode:
        raise UserError("what the trainings depend on could not be made; the lines above say why")


def run(domains: list[str], partition: str | None) -> None:
    every = list(config.load().domains)
    domains = domains or every
    cluster.launcher(os.environ.get("DAPT_LAUNCHER"), cluster.load(), partition)  # refuses what is not understood
    if partition:
        os.environ["DAPT_PARTITION"] = partition
    if not any(background.running(domain) for domain in every):
        _prepare()
    for domain in domains:
        background.start(domain)
    try:
        states = follow(domains)
    except KeyboardInterrupt:
        print(
            f"\nleft; they continue. dapt launch {' '.join(domains)}: look again; "
            f"dapt launch --stop {' '.join(domains)}: have them save and end"
        )
        return
    if unfinished := [
        f"{domain} ({state.why}; log: {background.log(domain)})"
        for domain, state in states.items()
        if not state.finished
    ]:
        raise UserError(
            f"{len(unfinished)} of {len(states)} did not finish: {'; '.join(unfinished)}; "
            "the same command takes them up again"
        )


def stop(domains: list[str]) -> None:
    """Have those that run save and end."""
    for domain in domains or config.load().domains:
        print(f"{domain}: {'is asked to save and end' if background.stop(domain) else 'does not run'}")
