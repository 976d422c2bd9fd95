"""Refuses tasks that cannot work before anything is trained: first by their settings and the base, then by their rows."""

from collections.abc import Iterable
from pathlib import Path

import transformers

from dapt.core.config import Task
from dapt.model import checkpoint
from dapt.model.architectures import usable_positions
from dapt.tasks import kinds
from dapt.tasks.baselines import check_words
from dapt.telling.errors import UserError


def check_model(name: str, task: Task, words: str, base: Path) -> None:
    """Refuse a baseline that the kind of the task does not have, a base whose architecture has no head for it, and a text
    length that exceeds the base's positions."""
    kind = kinds.kind(task.kind)
    check_words(name, task.kind, words)
    network = checkpoint.outline(getattr(transformers, kind.AUTO), base)
    if network is None:
        raise UserError(
            f"task {name}: transformers has no {kind.AUTO.removeprefix('Auto')} for the model type of {base}; use another "
            "base, or remove the task from params.yaml"
        )
    if task.length > (longest := usable_positions(network)):
        raise UserError(
            f"tasks.{name} of the profile: length is {task.length} tokens, but {base} has only {longest} positions; make "
            "it smaller"
        )


def check_sides(name: str, task: Task, train: Iterable[dict], test: Iterable[dict]) -> None:
    """Refuse a task with an empty training or test side, with fewer than two candidates, or with labels that only test rows
    have, which no model could learn."""
    kind = kinds.kind(task.kind)
    learnt = [{"label": row.get("label", "")} for row in train]  # without texts, which can take half a gigabyte
    asked = list(test)
    if not learnt or not asked:
        raise UserError(
            f"task {name} has {len(learnt)} training rows and {len(asked)} test rows, but needs both; check tasks.{name} "
            f"in the profile and the rows of {task.corpus}"
        )
    classes = kind.classes(learnt + asked)
    if len(candidates := kind.candidates(asked, classes)) < 2:
        raise UserError(
            f"task {name}: {candidates[0]!r} is the only candidate; add rows with other labels, options or answers"
        )
    if unlearnt := sorted(set(kind.classes(asked)) - set(kind.classes(learnt))):
        rows = sum(row["label"] in unlearnt for row in asked)
        raise UserError(
            f"task {name}: no training row has the label {', '.join(map(repr, unlearnt[:3]))}, which {rows} test rows have; "
            f"remove it from tasks.{name}.labels, or add training rows with it"
        )
