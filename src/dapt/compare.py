"""`dapt compare`: all models on all held-out sets, what differs beyond noise, and which model to use.

Reads metrics/eval, metrics/tasks, data/eval and data/curves; writes metrics/comparison.json and mistakes.json, and for pictures
and spreadsheets crossdomain.csv, tasks.csv, curves.csv, calibration.csv and confusion/TASK.csv. Differences are paired: both
models' figures come from the same resamples of the same groups. A difference of losses is negative where the model is better,
one of tasks positive.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dapt import config, downstream, mistakes
from dapt.config import Params
from dapt.downstream import Judged
from dapt.errors import UserError
from dapt.files import made_from, read_json, read_lines, whole_file, whole_folder, write_json
from dapt.markdown import rows
from dapt.paths import CURVES, LOSSES, METRICS
from dapt.stats import interval, ratio, resampled

COMPARISON = METRICS / "comparison.json"
CELL = ("loss", "loss_ci95", "perplexity", "accuracy", "accuracy_top5")  # what the matrix takes over from metrics/eval


def losses_by_group(models: list[str], folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each held-out set the losses [models, groups] and the masked tokens [groups], the same for every model."""
    sums: dict[str, dict[str, dict[str, tuple[float, int]]]] = {}
    for name in models:
        for row in read_lines(folder / f"{name}.jsonl"):
            sums.setdefault(row["set"], {}).setdefault(row["group"], {})[name] = (row["loss"], row["masked"])
    found = {}
    for held_out, groups in sums.items():
        for group, of_model in groups.items():
            if set(of_model) != set(models) or len({masked for _, masked in of_model.values()}) != 1:
                raise UserError(f"the models were not judged on the same masks of group {group} of {held_out}; "
                                "run dvc repro evaluate")
        losses = np.array([[groups[group][name][0] for group in groups] for name in models])
        masked = np.array([groups[group][models[0]][1] for group in groups], float)
        found[held_out] = losses, masked
    return found


def check_tokenizers(evaluated: dict[str, dict]) -> None:
    """A loss a token says nothing about a model that cuts text into other tokens; made_from names each tokenizer's hash."""
    of = {name: next((line.split()[0] for line in found["made_from"] if line.endswith("/tokenizer.json")), None)
          for name, found in evaluated.items()}
    first, *others = of
    if other := next((name for name in others if of[name] != of[first]), None):
        raise UserError(f"{first} and {other} have different tokenizers (made_from in metrics/eval), so their losses a token "
                        "cannot be compared; compare their words: dapt evaluate --words --model … … --text FILE")


def difference(one: np.ndarray, other: np.ndarray, values: tuple[float, float]) -> dict:
    """Of two losses and their paired resamples."""
    return {"diff": round(values[0] - values[1], 4), "ci95": interval(one - other)}


def compare(params: Params, losses: dict[str, tuple[np.ndarray, np.ndarray]], evaluated: dict[str, dict],
            tasks: dict[str, Judged], scores: dict[str, dict[str, dict]]) -> dict:
    """The matrix, the tasks and the choice, as metrics/comparison.json holds them."""
    settings, models = params.active.compare, params.models
    matrix: dict = {name: {} for name in models}
    samples, means = {}, {}
    for number, held_out in enumerate(params.heldout):
        sums, masked = losses[held_out]
        drawn = resampled(sums, masked, settings.resamples, settings.seed + number)
        mean = [ratio(row, masked) for row in sums]
        samples[held_out], means[held_out] = drawn, mean
        for place, name in enumerate(models):
            cell = {key: evaluated[name][held_out][key] for key in CELL}
            for other, label in (("base", "vs_base"), (params.control, "vs_control")):
                if name != other:
                    at = models.index(other)
                    cell[label] = difference(drawn[place], drawn[at], (mean[place], mean[at]))
            rivals = [other for other in models if other not in (name, "base", params.control)]
            cell["vs"] = {other: difference(drawn[place], drawn[models.index(other)],
                                            (mean[place], mean[models.index(other)])) for other in rivals}
            matrix[name][held_out] = cell
    found, of_tasks = downstream.compare(tasks, scores, params.finetuned, settings.resamples, settings.seed)
    if settings.rule == "task":
        which = [tasks[settings.task].models.index(name) for name in params.finetuned]
        choice = choose(params.finetuned, tasks[settings.task].values.mean(1)[which], of_tasks[settings.task][which],
                        f"{scores[settings.task]['base']['metric']} on {settings.task}", highest=True)
    else:
        sets = params.heldout if settings.rule == "mean" else [settings.target]
        choice = choose(models, np.mean([means[name] for name in sets], axis=0),
                        np.mean([samples[name] for name in sets], axis=0),
                        f"mean loss over {', '.join(sets)}" if settings.rule == "mean" else f"loss on {settings.target}")
    return {"matrix": matrix, "tasks": found, "choice": choice}


def choose(models: list[str], values: np.ndarray, drawn: np.ndarray, figure: str, highest: bool = False) -> dict:
    """The model with the lowest figure (or the highest) of `values` [models], and whether it beats the next one beyond
    noise, from their resamples `drawn` [models, times]."""
    best, second = np.argsort(-values if highest else values, kind="stable")[:2]
    gap = difference(drawn[best], drawn[second], (values[best], values[second]))
    beyond = gap["ci95"][0] > 0 if highest else gap["ci95"][1] < 0
    why = (f"{values[best]:.3f}; next is {models[second]} with {values[second]:.3f}, a difference of {gap['diff']:.3f} "
           f"[{gap['ci95'][0]:.3f}, {gap['ci95'][1]:.3f}], {'beyond' if beyond else 'within'} noise")
    return {"model": models[best], "rule": f"{'highest' if highest else 'lowest'} {figure}", "why": why,
            "beyond_noise": bool(beyond)}


def table(comparison: dict) -> str:
    """The matrix in Markdown: a row a model, loss [95 % interval] a set."""
    matrix = comparison["matrix"]
    sets = list(next(iter(matrix.values())))
    return rows([[name, *(f"{cell['loss']:.3f} [{cell['loss_ci95'][0]:.3f}, {cell['loss_ci95'][1]:.3f}]"
                          for cell in cells.values())] for name, cells in matrix.items()], ["model", *sets])


def task_table(tasks: dict[str, dict[str, dict]]) -> str:
    """The tasks in Markdown: a row a model or free baseline, mean ± standard deviation over seeds; – where it has none."""
    names = list(dict.fromkeys(name for models in tasks.values() for name in models))
    return rows([[name, *(f"{models[name]['mean']:.3f} ± {models[name]['sd']:.3f}" if name in models else "–"
                          for models in tasks.values())] for name in names],
                ["model", *(f"{task} ({next(iter(models.values()))['metric']})" for task, models in tasks.items())])


def told(comparison: dict) -> str:
    """The tables and the choice, for a screen."""
    choice = comparison["choice"]
    return "\n\n".join(["Loss a masked token on held-out text, 95 % interval over groups:", table(comparison),
                        "Fine-tuned, mean ± standard deviation over seeds:", task_table(comparison["tasks"]),
                        f"Use {choice['model']} ({choice['rule']}): {choice['why']}."])


def write_csv(path: Path, header: str, lines: Iterable[tuple]) -> None:
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(lines)


def write_tables(params: Params, comparison: dict, lines: dict[str, dict[str, list[dict]]], classes: list[str]) -> None:
    """What pictures and spreadsheets are made from; `lines` are the predictions, `classes` the tasks that have some."""
    write_csv(METRICS / "crossdomain.csv", "model,set,loss,low,high,perplexity,accuracy,accuracy_top5", (
        (name, held_out, cell["loss"], *cell["loss_ci95"], cell["perplexity"], cell["accuracy"], cell["accuracy_top5"])
        for name, cells in comparison["matrix"].items() for held_out, cell in cells.items()))
    write_csv(METRICS / "tasks.csv", "task,model,metric,mean,sd,low,high", (
        (task, name, cell["metric"], cell["mean"], cell["sd"], *cell["ci95"])
        for task, models in comparison["tasks"].items() for name, cell in models.items()))
    write_csv(METRICS / "calibration.csv", "task,model,confidence,accuracy,count", (
        (task, name, round(part["confidence"], 4), round(part["accuracy"], 4), part["count"])
        for task, models in lines.items() for name, found in models.items() for part in mistakes.calibration(found)))
    with whole_folder(METRICS / "confusion") as folder:
        for task in classes:
            write_csv(folder / f"{task}.csv", "task,model,right,predicted,count,share", (
                (task, name, *pair) for name in params.finetuned for pair in mistakes.shares(lines[task][name])))
    with whole_file(METRICS / "curves.csv") as file:
        file.write("step,loss,model,set\n")
        for domain in params.domains:
            file.write((CURVES / f"{domain}.csv").read_text(encoding="utf-8").split("\n", 1)[1])


def run() -> None:
    params = config.load()
    evaluated = {name: read_json(METRICS / "eval" / f"{name}.json") for name in params.models}
    check_tokenizers(evaluated)
    scores = {task: {name: read_json(METRICS / "tasks" / task / f"{name}.json")
                     for name in (*params.finetuned, "majority", of.words)} for task, of in params.tasks.items()}
    lines = {task: downstream.predictions(LOSSES / "tasks" / task, list(of)) for task, of in scores.items()}
    comparison = compare(params, losses_by_group(params.models, LOSSES), evaluated,
                         {task: downstream.judged(of) for task, of in lines.items()}, scores)
    write_json(COMPARISON, comparison | {"made_from": made_from(LOSSES)})
    classes = [task for task, of in scores.items() if downstream.has_classes(of["base"])]
    write_json(METRICS / "mistakes.json", downstream.errors(lines, classes))
    write_tables(params, comparison, lines, classes)
    print(told(comparison))
