"""Tasks that cannot work, refused before anything is trained: by their settings and the base, then by their rows."""

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
    """Refuse a baseline that the kind of the task does not have, a base whose type has no head for it, and texts longer than
    the base's positions."""
    kind = kinds.kind(task.kind)
    check_words(name, task.kind, words)
    network = checkpoint.outline(getattr(transformers, kind.AUTO), base)
    if network is None:
        raise UserError(
            f"task {name}: transformers has no {kind.AUTO.removeprefix('Auto')} for the type of {base}; take another base, "
            "or take the task out of params.yaml"
        )
    if task.length > (longest := usable_positions(network)):
        raise UserError(
            f"tasks.{name} of the profile: length is {task.length} tokens, more than the {longest} positions of {base}; make "
            "it smaller"
        )


def check_sides(name: str, task: Task, train: Iterable[dict], test: Iterable[dict]) -> None:
    """Refuse a task of which a side is empty, one with nothing to choose between, and labels that stand only on the test
    side, so that no model could learn them."""
    kind = kinds.kind(task.kind)
    learnt, asked = list(train), list(test)
    if not learnt or not asked:
        raise UserError(
            f"task {name} has {len(learnt)} training rows and {len(asked)} test rows and needs both; look at tasks.{name} "
            f"in the profile and at the rows of {task.corpus}"
        )
    classes = kind.classes(learnt + asked)
    if len(candidates := kind.candidates(asked, classes)) < 2:
        raise UserError(f"task {name}: {candidates[0]!r} is all there is to choose from; give it rows that differ")
    if unlearnt := sorted(set(kind.classes(asked)) - set(kind.classes(learnt))):
        rows = sum(row["label"] in unlearnt for row in asked)
        raise UserError(
            f"task {name}: no training row has the label {', '.join(map(repr, unlearnt[:3]))}, which {rows} test rows have; "
            f"leave it out of tasks.{name}.labels, or give training rows"
        )
