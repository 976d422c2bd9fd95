"""The stages of dvc.yaml as the launcher sees them: which there are, what each needs, and which are out of date.

DVC itself is asked, in this process.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from dapt.core.config import instead
from dapt.telling.errors import UserError, short

BUSY = "is busy, it is being"  # what DVC says of a path that another of its processes writes or reads: it does not wait
TRIES = 20  # where a path is busy
PAUSE = 2  # seconds between two tries
MISSING = ("deleted", "not in cache")  # what DVC says of a file that is not in the workspace, or in no cache


class Busy(UserError):
    """Another DVC process writes what is asked for."""


@dataclass(frozen=True)
class Stage:
    name: str  # train@biomed
    command: tuple[str, ...]  # dapt train biomed
    needs: frozenset[str]  # the stages that make what it reads


def outdated(
    targets: Iterable[str], domains: Collection[str], running: Callable[[str], bool] = lambda name: False
) -> dict[str, Stage]:
    """The stages that bring the targets up to date, in an order in which they can be run: those that have changed or are
    `running`, and those that read what such a stage makes. `needs` names these alone."""
    for _ in range(TRIES - 1):
        try:
            return _outdated(targets, domains, running)
        except Busy:  # one was started meanwhile
            time.sleep(PAUSE)
    return _outdated(targets, domains, running)


def _outdated(targets: Iterable[str], domains: Collection[str], running: Callable[[str], bool]) -> dict[str, Stage]:
    with opened() as repo:
        stages = leading_to(targets, domains, repo)
        changed = {name for name in stages if running(name)}
        for name, stage in stages.items():  # DVC refuses to look at what a running stage writes
            changed |= {name} if stage.needs & changed else set()
        if asked := [name for name in stages if name not in changed]:
            changed |= set(repo.status(asked))
    return from_these_on(changed, stages)


def stale(target: str) -> list[str]:
    """The stages up to this one that have run with other settings, code or inputs than those of the workspace, or never,
    and those that read what such a stage makes; in an order in which they can be run.

    Files that are only missing, as in a clone before `dvc pull`, say nothing against figures that are there. `check`
    writes the same for all settings. What another DVC process holds is not waited for, but a UserError.
    """
    with opened(wait=False) as repo:
        stages = leading_to([target], (), repo)
        status = repo.status([target], with_deps=True)
    changed = {name for name, changes in status.items() if name != "check" and not only_missing(changes)}
    return list(from_these_on(changed, stages))


def only_missing(changes: list[str | dict[str, dict[str, Any]]]) -> bool:
    """Whether what `dvc status` says of a stage is that files of it are not there, and no more.

    >>> only_missing([{"changed deps": {"data/eval": "deleted"}}, {"changed outs": {"data/curves": "not in cache"}}])
    True
    >>> only_missing([{"changed deps": {"data/eval": "deleted", "params.yaml": {"heldout": "modified"}}}])
    False
    >>> only_missing(["changed command"])
    False
    """
    found = [of for change in changes if isinstance(change, dict) for files in change.values() for of in files.values()]
    return all(isinstance(change, dict) for change in changes) and all(of in MISSING for of in found)


def leading_to(targets: Iterable[str], domains: Collection[str], repo: Any) -> dict[str, Stage]:
    """The stages that targets name and all that they need, each behind what it needs."""
    graph = repo.index.graph
    commands = {stage.addressing: tuple(str(stage.cmd).split()) for stage in graph}
    above = {stage.addressing: {needed.addressing for needed in graph.successors(stage)} for stage in graph}
    order = in_order(upstream(chosen(targets, commands, domains), above), above)
    return {name: Stage(name, commands[name], frozenset(above[name])) for name in order}


def from_these_on(names: Collection[str], stages: dict[str, Stage]) -> dict[str, Stage]:
    """Of stages in an order in which they can be run those of these names, and those behind them; `needs` names these
    alone."""
    found: dict[str, Stage] = {}
    for name, stage in stages.items():
        needs = stage.needs & found.keys()
        if needs or name in names:
            found[name] = replace(stage, needs=frozenset(needs))
    return found


def named(targets: Iterable[str], domains: Collection[str]) -> list[str]:
    """The stages that targets name, in the order of dvc.yaml."""
    with opened() as repo:
        every = [stage.addressing for stage in repo.index.stages]
    wanted = chosen(targets, every, domains)
    return [name for name in every if name in wanted]


@contextmanager
def opened(wait: bool = True) -> Iterator[Any]:
    """DVC's view of the repository, locked, since dvc.lock is written in place; another command's lock is waited for, or
    only for DVC's three seconds."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    try:
        with Repo(_wait_for_lock=wait) as repo, lock_repo(repo):
            yield repo
    except DvcException as error:
        kind = Busy if BUSY in str(error) else UserError
        raise kind(f"DVC cannot read the pipeline: {short(error)}") from error


def chosen(targets: Iterable[str], stages: Collection[str], domains: Collection[str]) -> set[str]:
    """The stages that targets name; all for none. A target is a stage (train@biomed), all stages of a name (train), a
    pattern (finetune@*-biomed), or a domain, which stands for its training.

    >>> sorted(chosen(["biomed", "eval*"], ["train@biomed", "evaluate@base", "evaluate@biomed", "split"], ["biomed"]))
    ['evaluate@base', 'evaluate@biomed', 'train@biomed']
    """
    found: set[str] = set()
    for target in targets:
        pattern = f"train@{target}" if target in domains else target
        those = {name for name in stages if fnmatchcase(name, pattern) or name.partition("@")[0] == pattern}
        if not those:
            names = {*stages, *domains, *(name.partition("@")[0] for name in stages)}
            raise UserError(f"dvc.yaml has no stage {target!r}{instead(target, names, 'see `dvc stage list`')}")
        found |= those
    return found or set(stages)


def upstream(names: Iterable[str], above: dict[str, set[str]]) -> set[str]:
    """These stages, and all that they need, directly or not."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += above[name]
    return found


def in_order(names: Collection[str], above: dict[str, set[str]]) -> list[str]:
    """Each behind all that it needs; else by name.

    >>> in_order(["c", "b", "a"], {"a": {"c"}, "b": set(), "c": set()})
    ['b', 'c', 'a']
    """
    found: dict[str, None] = {}
    while rest := sorted(name for name in names if name not in found):
        found |= dict.fromkeys(name for name in rest if not above[name] & set(rest))
    return list(found)
