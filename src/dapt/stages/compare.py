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

from dapt.core import config
from dapt.reporting import task_comparison, mistakes
from dapt.core.config import Params
from dapt.reporting.task_comparison import Judged
from dapt.telling.errors import UserError
from dapt.core.files import made_from, read_json, read_lines, whole_file, whole_folder, write_json
from dapt.reporting.markdown import rows
from dapt.core.paths import CURVES, LOSSES, METRICS
from dapt.judging.statistics import interval, ratio, resampled

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
    """The matrix, the tasks, the ranking by each figure and the choice, as metrics/comparison.json holds them."""
    settings, models = params.active.compare, params.models
    matrix: dict = {name: {} for name in models}
    samples, means = {}, {}
    for number, held_out in enumerate(params.heldout):
        sums, masked = losses[held_out]
        drawn = resampled(sums, masked, settings.resamples, settings.seed + number)
        mean = np.array([ratio(row, masked) for row in sums])
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
    found, of_tasks = task_comparison.compare(tasks, scores, params.finetuned, settings.resamples, settings.seed)
    best = rankings(params, means, samples) | {
        figure_of(task, scores): ranked(params.finetuned, values, drawn, highest=True)
        for task, (values, drawn) in of_finetuned(tasks, of_tasks, params.finetuned).items()}
    rule = {"mean": mean_over(params.heldout), "target": loss_on(settings.target),
            "task": figure_of(settings.task, scores)}[settings.rule]
    return {"matrix": matrix, "tasks": found, "best": best,
            "choice": choose(rule, best[rule], "highest" if settings.rule == "task" else "lowest")}


def mean_over(sets: list[str]) -> str:
    return f"mean loss over {', '.join(sets)}"


def loss_on(held_out: str) -> str:
    return f"loss on {held_out}"


def figure_of(task: str, scores: dict[str, dict[str, dict]]) -> str:
    return f"{scores[task]['base']['metric']} on {task}"


def rankings(params: Params, means: dict[str, np.ndarray], samples: dict[str, np.ndarray]) -> dict[str, list[dict]]:
    """By mean loss over the held-out sets, and by the loss on each; from losses [models] and resamples [models, times]."""
    mean = [np.mean([of[name] for name in params.heldout], axis=0) for of in (means, samples)]
    return {mean_over(params.heldout): ranked(params.models, *mean)} | {
        loss_on(name): ranked(params.models, means[name], samples[name]) for name in params.heldout}


def of_finetuned(tasks: dict[str, Judged], samples: dict[str, np.ndarray],
                 finetuned: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each task the figure of these models [models] and its resamples [models, times]."""
    which = {task: [of.models.index(name) for name in finetuned] for task, of in tasks.items()}
    return {task: (of.values.mean(1)[which[task]], samples[task][which[task]]) for task, of in tasks.items()}


def ranked(models: list[str], values: np.ndarray, drawn: np.ndarray, highest: bool = False) -> list[dict]:
    """The models from the lowest figure (or the highest) of `values` [models] on, each behind the first with the first's
    difference to it, from their resamples `drawn` [models, times], and whether that is beyond noise."""
    order = np.argsort(-values if highest else values, kind="stable")
    first, found = order[0], []
    for place in order:
        one = {"model": models[place], "value": round(float(values[place]), 4)}
        if place != first:
            gap = difference(drawn[first], drawn[place], (values[first], values[place]))
            one |= {"gap": gap, "beyond_noise": bool(gap["ci95"][0] > 0 if highest else gap["ci95"][1] < 0)}
        found.append(one)
    return found


def choose(figure: str, ranking: list[dict], end: str) -> dict:
    """The first of a ranking, and whether it beats the next one beyond noise."""
    best, second = ranking[:2]
    gap = second["gap"]
    why = (f"{best['value']:.3f}; next is {second['model']} with {second['value']:.3f}, a difference of {gap['diff']:.3f} "
           f"[{gap['ci95'][0]:.3f}, {gap['ci95'][1]:.3f}], {'beyond' if second['beyond_noise'] else 'within'} noise")
    return {"model": best["model"], "rule": f"{end} {figure}", "why": why, "beyond_noise": second["beyond_noise"]}


def table(comparison: dict) -> str:
    """The matrix in Markdown: a row a model, loss [95 % interval] a set."""
    matrix = comparison["matrix"]
    sets = list(next(iter(matrix.values())))
    return rows([[name, *(f"{cell['loss']:.3f} [{cell['loss_ci95'][0]:.3f}, {cell['loss_ci95'][1]:.3f}]"
                          for cell in cells.values())] for name, cells in matrix.items()], ["model", *sets])


def signed(cell: dict | None) -> str:
    if cell is None:
        return "–"
    sure = cell["ci95"][1] < 0 or cell["ci95"][0] > 0
    return f"{cell['diff']:+.3f} [{cell['ci95'][0]:+.3f}, {cell['ci95'][1]:+.3f}]" + ("" if sure else " (noise)")


def accuracy(cell: dict) -> str:
    return f"{cell['accuracy']:.3f} / {cell['accuracy_top5']:.3f}"


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


def flat(difference: dict | None) -> tuple:
    """A difference and its interval as three cells."""
    return (difference["diff"], *difference["ci95"]) if difference else ("", "", "")


def write_tables(params: Params, comparison: dict, lines: dict[str, dict[str, list[dict]]], classes: list[str]) -> None:
    """What pictures and spreadsheets are made from; `lines` are the predictions, `classes` the tasks that have some."""
    write_csv(METRICS / "crossdomain.csv", "model,set,loss,low,high,perplexity,accuracy,accuracy_top5,"
              "vs_base,vs_base_low,vs_base_high,vs_control,vs_control_low,vs_control_high", (
        (name, held_out, cell["loss"], *cell["loss_ci95"], cell["perplexity"], cell["accuracy"], cell["accuracy_top5"],
         *flat(cell.get("vs_base")), *flat(cell.get("vs_control")))
        for name, cells in comparison["matrix"].items() for held_out, cell in cells.items()))
    write_csv(METRICS / "tasks.csv", "task,model,metric,mean,sd,low,high,vs_base,vs_base_low,vs_base_high,vs_base_p_adjusted", (
        (task, name, cell["metric"], cell["mean"], cell["sd"], *cell["ci95"], *flat(gain := cell.get("vs_base")),
         gain["p_adjusted"] if gain else "")
        for task, models in comparison["tasks"].items() for name, cell in models.items()))
    write_csv(METRICS / "calibration.csv", "task,model,confidence,accuracy,count", (
        (task, name, round(part["confidence"], 4), round(part["accuracy"], 4), part["count"])
        for task, models in lines.items() for name in params.finetuned for part in mistakes.calibration(models[name])))
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
    lines = {task: task_comparison.predictions(LOSSES / "tasks" / task, list(of)) for task, of in scores.items()}
    for task, of in params.tasks.items():
        scores[task] |= scores[task][of.words]["variants"]
    comparison = compare(params, losses_by_group(params.models, LOSSES), evaluated,
                         {task: task_comparison.judged(of) for task, of in lines.items()}, scores)
    write_json(COMPARISON, comparison | {"made_from": made_from(LOSSES, METRICS / "eval", METRICS / "tasks")})
    classes = [task for task, of in scores.items() if task_comparison.has_classes(of["base"])]
    write_json(METRICS / "mistakes.json", task_comparison.errors(lines, classes, params.finetuned))
    write_tables(params, comparison, lines, classes)
    print(told(comparison))
