"""What a model gets wrong, from its predictions on a task's test side (data/eval/tasks/T/X.jsonl): pure functions.

Each takes rows as dapt.tasks.scoring writes them, with one entry per seed under predicted, confidence and value, and sums over seeds.
"""

from collections import Counter

import numpy as np

BINS = 15


def confusion(rows: list[dict]) -> dict[str, dict[str, int]]:
    """{right: {predicted: how often}}, over rows and seeds; every label that occurs is in both.

    >>> confusion([{"right": "a", "predicted": ["a", "b"]}])
    {'a': {'a': 1, 'b': 1}, 'b': {'a': 0, 'b': 0}}
    """
    counts = Counter((row["right"], name) for row in rows for name in row["predicted"])
    labels = sorted({label for pair in counts for label in pair})
    return {right: {predicted: counts[right, predicted] for predicted in labels} for right in labels}


def shares(rows: list[dict]) -> list[tuple[str, str, int, float]]:
    """For each pair (right, predicted) that occurs: how often, and its share of all predictions where that label is right.
    The pair of a label with itself is always included, so that a picture has every label on both axes.

    >>> shares([{"right": "a", "predicted": ["a", "a", "b"]}])
    [('a', 'a', 2, 0.6667), ('a', 'b', 1, 0.3333), ('b', 'b', 0, 0.0)]
    """
    return [
        (right, predicted, count, round(count / max(1, sum(of.values())), 4))
        for right, of in confusion(rows).items()
        for predicted, count in of.items()
        if count or predicted == right
    ]


def confused(rows: list[dict], most: int) -> list[tuple[str, str, int]]:
    """The pairs (right, predicted) that are mixed up most often, and how often."""
    pairs = [
        (right, predicted, count)
        for right, of in confusion(rows).items()
        for predicted, count in of.items()
        if right != predicted and count
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[:2]))[:most]


def worst(rows: list[dict], most: int) -> list[dict]:
    """The rows that are wrong with the greatest confidence, summed over seeds (a correct prediction counts as 0)."""

    def wrongly_sure(row: dict) -> float:
        return sum(sure for name, sure in zip(row["predicted"], row["confidence"]) if name != row["right"])

    return sorted((row for row in rows if wrongly_sure(row)), key=lambda row: (-wrongly_sure(row), row["id"]))[:most]


def in_words(row: dict, texts: dict[str, dict], longest: int) -> dict[str, str]:
    """What is asked in a row, the right answer, and the wrong one that a seed was surest of, each cut at `longest` characters;
    empty if `texts` lacks the row. A name is the number of an option, the id of the row with the answer, or a label.

    >>> in_words(
    ...     {"id": "a", "right": "option 2", "predicted": ["option 1"], "confidence": [0.9]},
    ...     {"a": {"text": "Which is a fruit?", "options": ["a stone", "an apple"]}},
    ...     longest=300,
    ... )
    {'text': 'Which is a fruit?', 'right_text': 'an apple', 'predicted_text': 'a stone'}
    """
    if row["id"] not in texts:
        return {}
    of = texts[row["id"]]

    def words(name: str) -> str:
        if "options" in of and name.startswith("option "):
            return of["options"][int(name.removeprefix("option ")) - 1]
        return texts[name]["answer"] if name in texts else name

    found = {"text": of["text"], "right_text": words(row["right"]), "predicted_text": words(surest_mistake(row)[1])}
    return {key: text if len(text) <= longest else f"{text[:longest]}…" for key, text in found.items()}


def surest_mistake(row: dict) -> tuple[float, str]:
    """Of the seeds that are wrong the one with the greatest confidence: how sure it was, and what it predicted."""
    return max((sure, name) for sure, name in zip(row["confidence"], row["predicted"]) if name != row["right"])


def calibration(rows: list[dict], bins: int = BINS) -> list[dict]:
    """Per bin of equal width: how many predictions have such a confidence, its mean, and the share of correct ones."""
    sure = np.array([value for row in rows for value in row["confidence"]])
    right = np.array([name == row["right"] for row in rows for name in row["predicted"]])
    number = np.minimum((sure * bins).astype(int), bins - 1)
    return [
        {
            "count": int((number == place).sum()),
            "confidence": float(sure[number == place].mean()),
            "accuracy": float(right[number == place].mean()),
        }
        for place in np.unique(number)
    ]


def calibration_error(rows: list[dict], bins: int = BINS) -> float:
    """Expected calibration error: |accuracy - confidence| averaged over predictions (Guo et al. 2017)."""
    found = calibration(rows, bins)
    total = sum(part["count"] for part in found)
    return sum(part["count"] * abs(part["accuracy"] - part["confidence"]) for part in found) / total
