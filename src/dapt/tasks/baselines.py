"""Baselines of a task that need no neural network, and the checks on its settings and test texts."""

from dapt.core.files import read_lines
from dapt.core.paths import SPLIT
from dapt.tasks import kinds
from dapt.telling.errors import UserError

SIDES = ("train", "valid")  # what pre-training reads; held-out text may also be a task's test text


def check_words(task: str, kind: str, words: str) -> None:
    """Refuse a word-count baseline that the kind of the task does not have."""
    if words not in (known := kinds.kind(kind).BASELINES):
        raise UserError(
            f"params.yaml: tasks.{task}.words: the kind {kind} has no baseline {words!r}; choose one of: {', '.join(known)}"
        )


def check_unseen(task: str, test: list[dict], domains: list[str]) -> int:
    """Refuse a task if pre-training reads one of its test texts (two texts are equal if records.text_id is); return how many
    pre-training texts were compared."""
    tested, looked_at = {row["id"] for row in test}, set()
    for domain in domains:
        for side in SIDES:
            path = SPLIT / domain / f"{side}.jsonl"
            ids = {row["id"] for row in read_lines(path)}
            looked_at |= ids
            if seen := tested & ids:
                raise UserError(
                    f"{len(seen)} test rows of {task} are also in {path} ({min(seen)}, …), so the models would have been "
                    "trained on test text; rebuild the split with `dvc repro -f split`"
                )
    return len(looked_at)
