"""Fine-tuned models compared with each other and with baselines that need no neural network: the tasks' part of `dapt compare`.

What pre-training gains over fine-tuning alone is the mean over seeds of an adapted model minus that of the base, over the same
resamples of the test groups. Its p is adjusted for the number of such differences over all tasks (Holm 1979), and so is the p of
the differences between models and the best baseline.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dapt.core.files import read_lines
from dapt.judging.statistics import by_group, holm, paired, resampled
from dapt.reporting import mistakes
from dapt.telling.errors import UserError

LEVEL = 0.05  # of significance
SHOWN = 5  # confused pairs, and worst mistakes, of each model
LONGEST = 300  # characters of a text that is shown


@dataclass(frozen=True)
class TaskPredictions:
    """Predictions of several models, adapted or free, on the test rows of a task."""

    models: list[str]
    values: np.ndarray  # the main metric of each row, mean over seeds: float64 [models, rows]
    groups: list[str]

    def resampled(self, times: int, seed: int) -> np.ndarray:
        """The metric in each resample of the groups: float64 [models, times]."""
        return resampled(*by_group(self.values, self.groups), times, seed)


def predictions(folder: Path, models: list[str]) -> dict[str, list[dict]]:
    """The lines of each model. All must have been judged on the same rows."""
    found = {name: list(read_lines(folder / f"{name}.jsonl")) for name in models}
    rows = [row["id"] for row in found[models[0]]]
    for name, lines in found.items():
        if [row["id"] for row in lines] != rows:
            raise UserError(f"{folder}: {name} and {models[0]} were not judged on the same rows; run dvc repro")
    return found


def judged(lines: dict[str, list[dict]]) -> TaskPredictions:
    """The predictions of the models, followed by those of the baselines' variants."""
    values = {name: [np.mean(row["value"]) for row in of] for name, of in lines.items()}
    for of in lines.values():
        values |= {other: [row["variants"][other] for row in of] for other in of[0].get("variants", ())}
    return TaskPredictions(
        list(values), np.array(list(values.values())), [row["group"] for row in next(iter(lines.values()))]
    )


def metric_difference(found: TaskPredictions, drawn: np.ndarray, one: str, other: str) -> dict:
    """The difference of two models' metrics; positive if `one` is better."""
    first, second = found.models.index(one), found.models.index(other)
    return {
        "diff": round(float(found.values[first].mean() - found.values[second].mean()), 4),
        **paired(drawn[first], drawn[second]),
    }


def compare_tasks(
    tasks: dict[str, TaskPredictions], figures: dict[str, dict[str, dict]], finetuned: list[str], times: int, seed: int
) -> tuple[dict, dict[str, np.ndarray]]:
    """metrics/comparison.json's `tasks`, and each task's resamples. `figures` is metrics/tasks: task → model → figures."""
    table: dict = {}
    samples = {}
    for number, (task, found) in enumerate(tasks.items()):
        drawn = samples[task] = found.resampled(times, seed + number)
        free = max(
            (name for name in found.models if name not in finetuned),
            key=lambda name: found.values[found.models.index(name)].mean(),
        )
        table[task] = {
            name: {key: figures[task][name][key] for key in ("metric", "mean", "sd", "ci95", "others")}
            for name in found.models
        }
        for name in finetuned:
            if name != "base":
                table[task][name]["vs_base"] = metric_difference(found, drawn, name, "base")
            table[task][name]["vs_free"] = {"name": free, **metric_difference(found, drawn, name, free)}
    for key in ("vs_base", "vs_free"):
        adjust([models[name][key] for models in table.values() for name in finetuned if key in models[name]])
    return table, samples


def adjust(differences: list[dict]) -> None:
    """Adjusts the p of each difference that has one for their number."""
    known = [one["p"] for one in differences if one["p"] is not None]
    adjusted = iter(holm(known))
    for one in differences:
        one["p_adjusted"] = None if one.pop("p") is None else round(next(adjusted), 4)


def significant(difference: dict) -> bool:
    """Whether the adjusted p of a difference is below the level. A difference without a p is not significant."""
    return difference["p_adjusted"] is not None and difference["p_adjusted"] < LEVEL


def has_classes(figures: dict) -> bool:
    """Whether a task's candidates are classes, which can be mixed up. The options of a question and the answers in a pool are
    candidates of their own row only.
    """
    return bool(figures["classes"])


def mistakes_of(
    lines: dict[str, dict[str, list[dict]]], classes: list[str], finetuned: list[str], texts: dict[str, dict[str, dict]]
) -> dict:
    """metrics/mistakes.json: task → model → calibration error (of fine-tuned models: a count of words is no confidence), what
    is mixed up most often (in `classes`, the tasks that have some), and the surest mistakes, in words where `texts` (task →
    id → row of the test side) has their rows.
    """
    return {
        task: {
            name: {
                "calibration_error": round(mistakes.calibration_error(rows), 4) if name in finetuned else None,
                "confused": [
                    {"right": right, "predicted": predicted, "times": times}
                    for right, predicted, times in mistakes.confused(rows, SHOWN if task in classes else 0)
                ],
                "worst": [
                    {key: row[key] for key in ("id", "right", "predicted", "confidence")}
                    | mistakes.in_words(row, texts[task], LONGEST)
                    for row in mistakes.worst(rows, SHOWN)
                ],
            }
            for name, rows in of.items()
        }
        for task, of in lines.items()
    }
