"""What a task gives without a neural network."""

from dapt.core.files import read_lines
from dapt.core.paths import SPLIT
from dapt.tasks import kinds
from dapt.telling.errors import UserError

SIDES = ("train", "valid")  # what a pre-training sees; held-out text may be a task's test side too, of the same groups


def check_words(task: str, kind: str, words: str) -> None:
    """Refuse a count of words that the kind of a task does not have."""
    if words not in (known := kinds.kind(kind).BASELINES):
        raise UserError(
            f"params.yaml: tasks.{task}.words: a {kind} has no baseline {words!r}; it has: {', '.join(known)}"
        )


def check_unseen(task: str, test: list[dict], domains: list[str]) -> int:
    """Refuse a task whose test texts, equal as records.text_id sees them, a pre-training sees; how many texts were looked at."""
    tested, looked_at = {row["id"] for row in test}, set()
    for domain in domains:
        for side in SIDES:
            path = SPLIT / domain / f"{side}.jsonl"
            ids = {row["id"] for row in read_lines(path)}
            looked_at |= ids
            if seen := tested & ids:
                raise UserError(
                    f"{len(seen)} test rows of {task} are in {path} ({min(seen)}, …), so its figures would be those of "
                    "text that the models have read; make it anew with dvc repro -f split"
                )
    return len(looked_at)
