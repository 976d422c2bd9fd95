"""The stages of dvc.yaml for the launcher: their names, dependencies, and which are out of date.

DVC is called as a library, in this process.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from dapt.core.config import instead
from dapt.telling.errors import UserError, short

BUSY = "is busy, it is being"  # in DVC's error about a path that another DVC process uses: it does not wait
TRIES = 20  # attempts while a path is busy
PAUSE = 2  # seconds between two attempts
MISSING = ("deleted", "not in cache")  # DVC's status of a file that is not in the workspace, or in no cache


class Busy(UserError):
    """Another DVC process is writing the requested files."""


@dataclass(frozen=True)
class Stage:
    name: str  # train@biomed
    command: tuple[str, ...]  # dapt train biomed
    needs: frozenset[str]  # the stages whose outputs it reads


def outdated(
    targets: Iterable[str], domains: Collection[str], running: Callable[[str], bool] = lambda name: False
) -> dict[str, Stage]:
    """The stages to run to bring the targets up to date, in a valid order: those that have changed or are `running`, and all
    that depend on them. Their `needs` contain only stages of the result."""
    for _ in range(TRIES - 1):
        try:
            return _outdated(targets, domains, running)
        except Busy:  # another process was started in the meantime
            time.sleep(PAUSE)
    return _outdated(targets, domains, running)


def _outdated(targets: Iterable[str], domains: Collection[str], running: Callable[[str], bool]) -> dict[str, Stage]:
    with opened() as repo:
        stages = leading_to(targets, domains, repo)
        changed = {name for name in stages if running(name)}
        for name, stage in stages.items():  # DVC refuses to check the outputs of a running stage
            changed |= {name} if stage.needs & changed else set()
        if asked := [name for name in stages if name not in changed]:
            changed |= set(repo.status(asked))
    return from_these_on(changed, stages)


def stale(target: str) -> list[str]:
    """The stages up to `target` that never ran, or ran with other settings, code or inputs than those of the workspace, and the
    stages that depend on them; in a valid order.

    Missing files alone, as in a clone before `dvc pull`, do not make existing metrics stale. `check` is ignored, since its
    output is the same for all settings. If another DVC process holds the lock, this raises a UserError instead of waiting.
    """
    with opened(wait=False) as repo:
        stages = leading_to([target], (), repo)
        status = repo.status([target], with_deps=True)
    changed = {name for name, changes in status.items() if name != "check" and not only_missing(changes)}
    return list(from_these_on(changed, stages))


def only_missing(changes: list[str | dict[str, dict[str, Any]]]) -> bool:
    """Whether `dvc status` reports nothing about a stage except missing files.

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
    """The stages that match the targets and all their dependencies, each after its own dependencies."""
    graph = repo.index.graph
    commands = {stage.addressing: tuple(str(stage.cmd).split()) for stage in graph}
    above = {stage.addressing: {needed.addressing for needed in graph.successors(stage)} for stage in graph}
    order = in_order(upstream(chosen(targets, commands, domains), above), above)
    return {name: Stage(name, commands[name], frozenset(above[name])) for name in order}


def from_these_on(names: Collection[str], stages: dict[str, Stage]) -> dict[str, Stage]:
    """From stages in a valid order, those with these names and all that depend on them; their `needs` contain only stages of
    the result."""
    found: dict[str, Stage] = {}
    for name, stage in stages.items():
        needs = stage.needs & found.keys()
        if needs or name in names:
            found[name] = replace(stage, needs=frozenset(needs))
    return found


def named(targets: Iterable[str], domains: Collection[str]) -> list[str]:
    """The stages that match the targets, in the order of dvc.yaml."""
    with opened() as repo:
        every = [stage.addressing for stage in repo.index.stages]
    wanted = chosen(targets, every, domains)
    return [name for name in every if name in wanted]


@contextmanager
def opened(wait: bool = True) -> Iterator[Any]:
    """DVC's view of the repository, locked, since dvc.lock is written in place. Waits for the lock of another command, or with
    `wait=False` only for DVC's three seconds."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    try:
        with Repo(_wait_for_lock=wait) as repo, lock_repo(repo):
            yield repo
    except DvcException as error:
        kind = Busy if BUSY in str(error) else UserError
        raise kind(f"DVC cannot read the pipeline: {short(error)}") from error


def chosen(targets: Iterable[str], stages: Collection[str], domains: Collection[str]) -> set[str]:
    """The stages that match the targets; all stages if there are no targets. A target is a stage (train@biomed), all stages of
    a name (train), a pattern (finetune@*-biomed), or a domain, which means its training.

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
    """These stages and all their direct and indirect dependencies."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += above[name]
    return found


def in_order(names: Collection[str], above: dict[str, set[str]]) -> list[str]:
    """Topological order: each stage after its dependencies, otherwise by name.

    >>> in_order(["c", "b", "a"], {"a": {"c"}, "b": set(), "c": set()})
    ['b', 'c', 'a']
    """
    found: dict[str, None] = {}
    while rest := sorted(name for name in names if name not in found):
        found |= dict.fromkeys(name for name in rest if not above[name] & set(rest))
    return list(found)
