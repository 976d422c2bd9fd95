"""Validates every cleaned row, by code other than that which wrote it, and computes the figures of the data card."""

import heapq
from collections import Counter
from collections.abc import Iterable

import numpy as np

from dapt.core.paths import PROCESSED
from dapt.core.rows import text_id
from dapt.telling.errors import UserError

SAMPLE = 2000  # rows of a corpus whose tokens and languages are counted: those with the smallest ids, which are hashes
SHOWN, LONGEST = 3, 300  # rows on the data card, characters of each
LABELS = 30  # a corpus with more different labels has no label set


def problem(row: dict, corpus: str, labelled: bool) -> str | None:
    """What is wrong with a row, or None."""
    for name in ("id", "group", "text", "corpus"):
        if not isinstance(row.get(name), str) or not row[name]:
            return f"{name} must be a non-empty text"
    text = row["text"]
    if row["corpus"] != corpus:
        return f"corpus is {row['corpus']!r}, not {corpus!r}"
    if text != " ".join(text.split()):
        return "text contains white space other than single spaces"
    if row["id"] != text_id(text):
        return f"id is not the hash of the text, {text_id(text)}"
    if row.get("split", "train") not in ("train", "valid", "test"):
        return f"split is {row['split']!r}, not train, valid or test"
    if not isinstance(row.get("label", "-"), str) or not row.get("label", "-"):
        return "label must be a non-empty text"
    if "options" in row:
        options, answer = row["options"], row.get("answer", 0)
        if not (isinstance(options, list) and all(isinstance(option, str) for option in options)):
            return "options must be a list of texts"
        if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(options):
            return f"answer {answer!r} is not the index of one of the {len(options)} options"
    if labelled and not {"label", "options", "answer"} & row.keys():
        return "a row of a labelled corpus must have a label, options or an answer"
    return None


def validated(rows: Iterable[dict], corpus: str, labelled: bool) -> tuple[dict, list[dict]]:
    """The figures of a corpus, and a sample of its rows; an invalid row is refused with its number."""
    ids: set[bytes] = set()
    groups: set[int] = set()
    labels: Counter[str] = Counter()
    lengths: list[int] = []
    lost = 0
    sample: list[tuple[int, int, dict]] = []
    for number, row in enumerate(rows, 1):
        wrong = problem(row, corpus, labelled)
        name = b"" if wrong else bytes.fromhex(row["id"])
        if wrong or name in ids:
            raise UserError(
                f"{PROCESSED / corpus}.jsonl line {number}: {wrong or 'the same text is in an earlier line'}; "
                "correct the cleaner, or run dvc repro if the file was edited by hand"
            )
        ids.add(name)
        groups.add(hash(row["group"]))
        lengths.append(len(row["text"]))
        lost += "\ufffd" in row["text"]
        if "label" in row:
            labels[row["label"]] += 1
        # a heap of the smallest ids, the largest of them first
        heapq.heappush(sample, (-int(row["id"], 16), number, row))
        if len(sample) > SAMPLE:
            heapq.heappop(sample)
    few = labels if len(labels) <= LABELS else {}
    figures = {
        "rows": len(ids),
        "groups": len(groups),
        "characters": spread(lengths),
        "lost_characters": lost,
        "labels": {
            "different": len(labels),
            "rows": labels.total(),
            "each": [list(pair) for pair in sorted(few.items())],
        },
    }
    return figures, [row for *_, row in sorted(sample, reverse=True)]


def spread(numbers: list[int]) -> dict:
    """Sum, mean, median, 95th percentile and maximum of some counts; zeros if there are none."""
    values = np.array(numbers or [0])
    return {
        "total": int(values.sum()),
        "mean": round(float(values.mean()), 1),
        "median": int(np.median(values)),
        "p95": int(np.percentile(values, 95)),
        "longest": int(values.max()),
    }
