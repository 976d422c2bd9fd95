"""A question and options, one of which is right: accuracy. Only the question and an option are read, never an
explanation, which would state the answer.

Baselines: `majority` takes the place that is right most often in training; `overlap` the option with the most words that
stand in the question, of equals the one with the larger share of its words, then the first; `overlap_least` the one with
the fewest, of equals the longest: what the making of the questions may give away.
"""

import re

import numpy as np
import torch
from sklearn.metrics import accuracy_score
from torch import nn

from dapt.core.config import Task
from dapt.tasks.kinds import classification

AUTO = "AutoModelForMultipleChoice"
METRICS = ("accuracy",)
WORD = re.compile(r"\w+")
loss, scores, values = classification.loss, classification.scores, classification.values  # as in a classification


def sequences(row: dict, task: Task) -> list[tuple[str, str]]:
    return [(row["question"], option) for option in row["options"]]


def classes(rows: list[dict]) -> list[str]:
    return []


def right(rows: list[dict], classes: list[str]) -> np.ndarray:
    return np.array([row["answer"] for row in rows])


def candidates(rows: list[dict], classes: list[str]) -> list[str]:
    return [f"option {number + 1}" for number in range(len(rows[0]["options"]))]


def outputs(network: nn.Module, batch: dict[str, torch.Tensor], count: int) -> torch.Tensor:
    return network(**{name: value.view(-1, count, value.shape[-1]) for name, value in batch.items()}).logits


def measures(scores: np.ndarray, right: np.ndarray) -> dict[str, float]:
    return {"accuracy": accuracy_score(right, scores.argmax(1))}


def majority(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    return classification.by_frequency(right(train, []), len(test[0]["options"]), len(test))


def shared(row: dict) -> np.ndarray:
    """Of each option: its different words that stand in the question, and how many different words it has."""
    question = set(WORD.findall(row["question"].lower()))
    options = [set(WORD.findall(option.lower())) for option in row["options"]]
    return np.array([(len(option & question), max(1, len(option))) for option in options], float)


def overlap(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    return np.array([found[:, 0] + 0.5 * found[:, 0] / found[:, 1] for found in map(shared, test)])


def overlap_least(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    return np.array([-found[:, 0] - 0.5 / found[:, 1] for found in map(shared, test)])


BASELINES = {"majority": majority, "overlap": overlap, "overlap_least": overlap_least}
