"""`dapt launch X Y Z`: several trainings at once, in one workspace and one dvc.lock, and a table of where they are.

What they depend on is brought up to date first. Each then is a process of its own (background.py), which goes on when this
one is left; started again from any shell, this one follows those that run and starts those that don't.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table

from dapt.core import config
from dapt.telling.errors import UserError
from dapt.launch import cluster, background

PAUSE = 1  # seconds between two looks at the logs
LINES = {  # what a line of a log says → the state that begins with it, if one does
    rf"{re.escape(background.TURN)}": "waits for its turn",
    r"> dapt train": "starting",
    r"slurm: job (?P<job>\d+) queued at (?P<queued>\S+ \S+)": "queued",
    r"slurm: job \d+ waits: (?P<why>[^;]+)(?:; estimated start (?P<start>\S+))?": None,
    r"slurm: the controller does not answer": "no controller",
    r"\S+: job (?P<job>\d+) on (?P<node>\S+)": "starting",
    r"\S+: step (?P<step>\d+)(?:/(?P<steps>\d+), (?P<speed>\S+) tokens/s, loss (?P<loss>[\d.]+))?": "training",
    r"\S+: .* (?P<steps>\d+) steps of \d+, ": None,
    r"resumed at step (?P<step>\d+)": "training",
    r"slurm: restart (?P<restarts>\d+)": "restarting",
    r"Stage '\S+' didn't change|Stage '\S+' is cached": "trained before",
    r"\S+: asked to leave at step (?P<step>\d+)": "left",
    r"(?P<error>dapt \w+: .*)": None,
    r"ERROR: (?P<dvc>.*)": None,
    rf"{re.escape(background.ENDED)} (?P<code>-?\d+)": None,
}

COLUMNS = {"job": "job", "queued": "queued since", "start": "estimated start", "node": "node", "step": "step", "steps": "of",
           "loss": "loss", "speed": "tokens/s", "restarts": "restarts"}  # what is found → the heading that it has


@dataclass
class State:
    """Where a training is, as its log says."""

    state: str = "starting"
    found: dict[str, str] = field(default_factory=dict)  # by the names of the groups in LINES

    @property
    def finished(self) -> bool:
        return self.state in ("done", "trained before")

    @property
    def why(self) -> str:
        """Why it did not finish: the training's words before DVC's."""
        if self.state == "left" and "error" not in self.found:
            return f"left at step {self.found['step']}"
        return self.found.get("error") or self.found.get("dvc") or self.state


def read(said: str, running: bool) -> State:
    """The state that a log tells of. One that ended without a word was killed."""
    state = State()
    for line in said.splitlines():
        for pattern, begins in LINES.items():
            if found := re.match(pattern, line):
                state.state = begins or state.state
                state.found |= {name: value for name, value in found.groupdict().items() if value is not None}
                break
    code = state.found.get("code")
    if code == "0":
        state.state = state.state if state.state == "trained before" else "done"
    elif code is not None:
        state.state = "left" if state.state == "left" else "failed"
    elif not running:
        state.state = "killed"
    return state


def table(states: dict[str, State]) -> Table:
    """A row a training; columns that say nothing yet are left out."""
    rows = [{"domain": domain, "state": state.state + (f", {state.found['why']}" if state.state == "queued" and
                                                       "why" in state.found else "")}
            | {column: state.found[name] for name, column in COLUMNS.items() if name in state.found}
            for domain, state in states.items()]
    columns = [name for name in ("domain", "state", *COLUMNS.values()) if any(name in row for row in rows)]
    shown = Table(box=None, pad_edge=False)
    for name in columns:
        shown.add_column(name, no_wrap=name != "state")
    for row in rows:
        shown.add_row(*(row.get(name, "") for name in columns))
    return shown


def _look(domains: list[str]) -> dict[str, State]:
    """The states of all; a job is asked for before its log is read, since it may end in between."""
    return {domain: read(background.log(domain).read_text(errors="replace"), running)
            for domain, running in [(domain, background.running(domain)) for domain in domains]}


def follow(domains: list[str]) -> dict[str, State]:
    """Show where they are until all have ended: a table on a terminal, else a line when something changes."""
    console, last = Console(width=None if sys.stdout.isatty() else 120), {}
    with Live(console=console, auto_refresh=False) as live:
        while True:
            ended = not any(background.running(domain) for domain in domains)  # asked before the look, which then is the last
            states = _look(domains)
            if console.is_terminal:
                live.update(table(states), refresh=True)
            for domain, state in states.items():
                line = f"{domain}: {state.state}" + "".join(
                    f", {name} {state.found[name]}" for name in ("job", "node") if name in state.found)
                if not console.is_terminal and line != last.get(domain):
                    print(line, flush=True)
                last[domain] = line
            if ended:
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
        print(f"\nleft; they go on. dapt launch {' '.join(domains)}: look again; "
              f"dapt launch --stop {' '.join(domains)}: have them save and end")
        return
    if unfinished := [f"{domain} ({state.why}; log: {background.log(domain)})"
                      for domain, state in states.items() if not state.finished]:
        raise UserError(f"{len(unfinished)} of {len(states)} did not finish: {'; '.join(unfinished)}; "
                        "the same command takes them up again")


def stop(domains: list[str]) -> None:
    """Have those that run save and end."""
    for domain in domains or config.load().domains:
        print(f"{domain}: {'is asked to save and end' if background.stop(domain) else 'does not run'}")
