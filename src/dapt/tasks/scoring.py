"""What fine-tuned models and baselines share: a task's rows, and how scores on its test side become metrics.

metrics/tasks/T/X.json contains the main metric's mean, its standard deviation over seeds, and the 95 % interval of the mean
over test groups. data/eval/tasks/T/X.jsonl has one line per test row with one entry per seed: the prediction, its probability,
and the row's value of the main metric.
"""

import hashlib
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np

from dapt.core.config import Task
from dapt.core.files import read_lines, write_json, write_lines
from dapt.core.paths import LOSSES, METRICS, SPLIT
from dapt.judging.statistics import bootstrap, by_group
from dapt.telling.errors import UserError

FAR = 0.2  # a total variation above this between the labels of two sides is reported


@dataclass(frozen=True)
class Sides:
    """The rows of a task. Encoders are trained on `train`; `all_train` is the same without the limit on rows. `left_out` counts
    training rows that are on no side: those of a group of which the validation set needs only a part."""

    train: list[dict]
    all_train: list[dict]
    valid: list[dict]
    test: list[dict]
    left_out: int = 0

    def everything(self) -> list[dict]:
        return self.all_train + self.valid + self.test

    def rows(self) -> dict[str, int]:
        return {
            "train": len(self.train),
            "train_of": len(self.all_train),
            "valid": len(self.valid),
            "test": len(self.test),
            "left_out": self.left_out,
        }

    def labels(self) -> dict[str, dict[str, int]]:
        """Number of rows per side and label: side → label → rows."""
        sides = {"train": self.train, "valid": self.valid, "test": self.test}
        return {side: dict(sorted(Counter(row["label"] for row in rows).items())) for side, rows in sides.items()}


def place(name: str) -> bytes:
    """A sort key: the order looks random, and adding a name does not change the order of the others."""
    return hashlib.sha256(f"rows {name}".encode()).digest()


def sides(train: list[dict], valid: list[dict], test: list[dict], most: int | None, least: int) -> Sides:
    """Move whole groups of training rows to valid until it has `least` rows; up to `most` of the remaining rows are trained on.

    A single source record must not determine when a training stops: a group of more than a tenth of `least` (and more than
    10 rows) stays in training, even if its hash assigned it to valid, unless the smaller groups are not enough. Then the
    smallest large group is moved, and valid takes as many of its rows as it needs.
    """
    pool = [row for row in train + valid if row.get("split") != "valid"]
    sizes, drawn = Counter(row["group"] for row in pool), {row["group"] for row in valid if row.get("split") != "valid"}
    largest = max(10, least // 10)
    moved = {group for group in drawn if 0 < sizes[group] <= largest}
    missing = least - sum(row["group"] in moved or row.get("split") == "valid" for row in train + valid)
    spare: set[str] = set()
    for group in sorted(sizes.keys() - moved, key=lambda group: (max(sizes[group], largest), place(group))):
        if missing <= 0:
            break
        moved.add(group)
        if sizes[group] > max(largest, missing):
            ids = sorted((row["id"] for row in pool if row["group"] == group), key=place)
            spare = set(ids[missing:])
        missing -= sizes[group]
    stays = [row for row in pool if row["group"] not in moved]
    chosen = {row["id"] for row in sorted(stays, key=lambda row: place(row["id"]))[:most]}
    return Sides(
        [row for row in stays if row["id"] in chosen],
        stays,
        [row for row in valid if row.get("split") == "valid"]
        + [row for row in pool if row["group"] in moved and row["id"] not in spare],
        test,
        len(spare),
    )


def distance(one: dict[str, int], other: dict[str, int]) -> float:
    """The distance between two sides' labels: the total variation of their shares, from 0 (the same) to 1 (none in common).

    >>> distance({"yes": 5, "no": 5}, {"yes": 9, "no": 1}), distance({"yes": 1}, {})
    (0.4, 1.0)
    """
    shares = [{label: count / sum(side.values()) for label, count in side.items()} for side in (one, other)]
    if not all(shares):
        return 1.0
    return round(sum(abs(shares[0].get(label, 0) - shares[1].get(label, 0)) for label in {**one, **other}) / 2, 4)


def labels_by_side(task: str, found: Sides) -> dict:
    """The labels of each side for metrics/tasks/T/majority.json; prints a warning if they differ much from those of the
    training rows."""
    labels = found.labels()
    distances = {side: distance(labels["train"], labels[side]) for side in ("valid", "test")}
    for side, far in distances.items():
        if far > FAR:
            print(
                f"{task}: the label distribution of its {side} rows differs from that of its training rows (total variation "
                f"{far:.2f}); check how its rows are grouped (metrics/tasks/{task}/majority.json)",
                file=sys.stderr,
            )
    return {"labels": labels, "label_distance": distances}


def read(task: str, settings: Task, least: int) -> Sides:
    """Read data/split/tasks/T; refuse it if a test row is also a training row, or if no training row is left."""
    folder = SPLIT / "tasks" / task
    train, valid, test = (list(read_lines(folder / f"{side}.jsonl")) for side in ("train", "valid", "test"))
    both = {row["id"] for row in test} & {row["id"] for row in train + valid}
    if both:
        raise UserError(
            f"{folder}: {len(both)} test rows are also training rows ({min(both)}, …); run `dvc repro split`"
        )
    found = sides(train, valid, test, settings.rows, least)
    if not found.train:
        raise UserError(f"task {task}: finetune.valid uses up all {len(train)} training rows; make it smaller")
    return found


def figures(kind: ModuleType, scores: list[np.ndarray], right: np.ndarray, groups: list[str]) -> dict:
    """From each seed's scores [rows, candidates]: every metric's mean, standard deviation and values; the main one first."""
    found = [kind.measures(seed, right) for seed in scores]
    of = {name: summary([measures[name] for measures in found]) for name in kind.METRICS}
    main, *others = kind.METRICS
    values = np.mean([kind.values(seed, right) for seed in scores], axis=0)
    sums, sizes = by_group(values[None], groups)
    return {
        "metric": main,
        **of[main],
        "ci95": bootstrap(sums[0], sizes, 0),
        "others": {name: of[name] for name in others},
    }


def summary(values: list[float]) -> dict:
    """Mean, sample standard deviation over seeds (0 if there is only one), and each seed's value."""
    sd = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return {
        "mean": round(float(np.mean(values)), 4),
        "sd": round(float(sd), 4),
        "seeds": [round(float(value), 4) for value in values],
    }


def predictions(
    kind: ModuleType, scores: list[np.ndarray], right: np.ndarray, rows: list[dict], names: list[str]
) -> list[dict]:
    """One line per test row; the confidence is the softmax probability of the predicted candidate."""
    best = np.array([seed.argmax(1) for seed in scores])
    highest = [seed - seed.max(1, keepdims=True) for seed in scores]
    confidence = np.array([1 / np.exp(seed).sum(1) for seed in highest])
    values = np.array([kind.values(seed, right) for seed in scores])
    return [
        {
            "id": row["id"],
            "group": row["group"],
            "right": names[right[number]],
            "predicted": [names[place] for place in best[:, number]],
            "confidence": [round(float(value), 4) for value in confidence[:, number]],
            "value": [round(float(value), 5) for value in values[:, number]],
        }
        for number, row in enumerate(rows)
    ]


@dataclass(frozen=True)
class Results:
    """Turns scores on the test side of a task into metrics and predictions."""

    task: str
    kind: ModuleType
    found: Sides

    @cached_property
    def classes(self) -> list[str]:
        return self.kind.classes(self.found.everything())

    @cached_property
    def right(self) -> np.ndarray:
        return self.kind.right(self.found.test, self.classes)

    @cached_property
    def groups(self) -> list[str]:
        return [row["group"] for row in self.found.test]

    def figures(self, scores: list[np.ndarray]) -> dict:
        return figures(self.kind, scores, self.right, self.groups)

    def write(
        self, name: str, scores: list[np.ndarray], extra: dict, variants: dict[str, np.ndarray] | None = None
    ) -> dict:
        """Write metrics and predictions of a model or baseline, and return the metrics. `variants` are scores of other variants
        by name: their metrics are added to the metrics, and each row's value of the main metric to its line.
        """
        kind, found = self.kind, self.found
        rows = found.rows() | {"test_groups": len(set(self.groups)), "candidates": scores[0].shape[1]}
        result = self.figures(scores) | {"classes": self.classes, "rows": rows} | extra
        lines = predictions(kind, scores, self.right, found.test, kind.candidates(found.test, self.classes))
        if variants is not None:
            result["variants"] = {other: self.figures([of]) for other, of in variants.items()}
            values = {other: kind.values(of, self.right) for other, of in variants.items()}
            lines = [
                line | {"variants": {other: round(float(of[number]), 5) for other, of in values.items()}}
                for number, line in enumerate(lines)
            ]
        write_lines(LOSSES / "tasks" / self.task / f"{name}.jsonl", lines)
        write_json(METRICS / "tasks" / self.task / f"{name}.json", result)
        print(
            f"{self.task}, {name}: {result['metric']} {result['mean']} ± {result['sd']}, 95 % {result['ci95']}"
            + "".join(f", {other} {value['mean']}" for other, value in result["others"].items())
        )
        return result
