"""A question with several options, one of which is right: accuracy. The model reads only the question and an option, never
an explanation, which would state the answer.

Baselines: `majority` chooses the position that is right most often in training; `overlap` chooses the option that shares the
most words with the question (ties: the larger share of the option's words, then the first option); `overlap_least` chooses the
one that shares the fewest (ties: the longest). They show how much the construction of the questions gives away.
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
CARD = {"library_name": "transformers", "pipeline_tag": "multiple-choice"}
WORD = re.compile(r"\w+")
loss, scores, values = classification.loss, classification.scores, classification.values  # as in classification
files = classification.files


def sequences(row: dict, task: Task) -> list[tuple[str, str]]:
    return [(row["question"], option) for option in row["options"]]


def classes(rows: list[dict]) -> list[str]:
    return []


def right(rows: list[dict], classes: list[str]) -> np.ndarray:
    return np.array([row["answer"] for row in rows])


def candidates(rows: list[dict], classes: list[str]) -> list[str]:
    return [f"option {number + 1}" for number in range(most(rows))]


def most(rows: list[dict]) -> int:
    """The largest number of options of a row."""
    return max(len(row["options"]) for row in rows)


def outputs(network: nn.Module, batch: dict[str, torch.Tensor], count: int) -> torch.Tensor:
    return network(**{name: value.view(-1, count, value.shape[-1]) for name, value in batch.items()}).logits


def measures(scores: np.ndarray, right: np.ndarray) -> dict[str, float]:
    return {"accuracy": accuracy_score(right, scores.argmax(1))}


def use(folder: str, task: Task) -> str:
    return f"""import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{folder}")
model = AutoModelForMultipleChoice.from_pretrained("{folder}")
question, options = "The question?", ["one option", "another option"]
pairs = tokenizer([question] * len(options), options, truncation=True, max_length={task.length}, padding=True, return_tensors="pt")
with torch.no_grad():
    scores = model(**{{name: value[None] for name, value in pairs.items()}}).logits[0]
print(options[scores.argmax()])
"""


def majority(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    scores = classification.by_frequency(right(train, []), most(train + test), len(test))[:, : most(test)]
    return among_options(list(scores), test)


def among_options(scores: list[np.ndarray], rows: list[dict]) -> np.ndarray:
    """Scores [rows, candidates] from the scores of each row; minus infinity for options that a row does not have."""
    found = np.full((len(rows), most(rows)), -np.inf)
    for number, (row, of) in enumerate(zip(rows, scores, strict=True)):
        found[number, : len(row["options"])] = of[: len(row["options"])]
    return found


def shared(row: dict) -> np.ndarray:
    """For each option: how many of its distinct words occur in the question, and how many distinct words it has."""
    question = set(WORD.findall(row["question"].lower()))
    options = [set(WORD.findall(option.lower())) for option in row["options"]]
    return np.array([(len(option & question), max(1, len(option))) for option in options], float)


def overlap(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    return among_options([found[:, 0] + 0.5 * found[:, 0] / found[:, 1] for found in map(shared, test)], test)


def overlap_least(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    return among_options([-found[:, 0] - 0.5 / found[:, 1] for found in map(shared, test)], test)


BASELINES = {"majority": majority, "overlap": overlap, "overlap_least": overlap_least}
