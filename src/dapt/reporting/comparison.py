"""All models on all held-out sets, what differs significantly, and which model to use.

Differences are paired: both models' figures come from the same resamples of the same groups. A difference of losses is
negative where the model is better, one of tasks positive.
"""

from pathlib import Path

import numpy as np

from dapt.core.config import Params
from dapt.core.files import read_lines
from dapt.core.paths import METRICS
from dapt.judging.statistics import apart, interval, ratio, resampled
from dapt.reporting import task_comparison
from dapt.reporting.markdown import bounds
from dapt.reporting.task_comparison import TaskPredictions
from dapt.telling.errors import UserError

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
                raise UserError(
                    f"the models were not judged on the same masks of group {group} of {held_out}; "
                    "run dvc repro evaluate"
                )
        losses = np.array([[groups[group][name][0] for group in groups] for name in models])
        masked = np.array([groups[group][models[0]][1] for group in groups], float)
        found[held_out] = losses, masked
    return found


def check_tokenizers(evaluated: dict[str, dict]) -> None:
    """Losses per token cannot be compared if models cut text into different tokens; made_from has the hash of each tokenizer."""
    of = {
        name: next((made["sha256"] for made in found["made_from"] if made["path"].endswith("/tokenizer.json")), None)
        for name, found in evaluated.items()
    }
    first, *others = of
    if other := next((name for name in others if of[name] != of[first]), None):
        raise UserError(
            f"{first} and {other} have different tokenizers (made_from in metrics/eval), so their losses per token "
            "cannot be compared; compare their words: dapt evaluate --words --model … … --text FILE"
        )


def loss_difference(one: np.ndarray, other: np.ndarray, values: tuple[float, float]) -> dict:
    """The difference of two losses, with the interval from their paired resamples."""
    return {"diff": round(values[0] - values[1], 4), "ci95": interval(one - other)}


def compare(
    params: Params,
    losses: dict[str, tuple[np.ndarray, np.ndarray]],
    evaluated: dict[str, dict],
    tasks: dict[str, TaskPredictions],
    scores: dict[str, dict[str, dict]],
) -> dict:
    """The matrix, the tasks, the ranking by each figure and the choice, as in metrics/comparison.json."""
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
                    cell[label] = loss_difference(drawn[place], drawn[at], (mean[place], mean[at]))
            rivals = [other for other in models if other not in (name, "base", params.control)]
            cell["vs"] = {
                other: loss_difference(
                    drawn[place], drawn[models.index(other)], (mean[place], mean[models.index(other)])
                )
                for other in rivals
            }
            matrix[name][held_out] = cell
    found, of_tasks = task_comparison.compare_tasks(tasks, scores, params.finetuned, settings.resamples, settings.seed)
    best = rankings(params, means, samples) | {
        figure_of(task, scores): ranked(params.finetuned, values, drawn, highest=True)
        for task, (values, drawn) in of_finetuned(tasks, of_tasks, params.finetuned).items()
    }
    rule = {
        "mean": mean_over(params.heldout),
        "target": loss_on(settings.target),
        "task": figure_of(settings.task, scores),
    }[settings.rule]
    return {
        "matrix": matrix,
        "tasks": found,
        "best": best,
        "choice": choose(rule, best[rule], "highest" if settings.rule == "task" else "lowest"),
    }


def mean_over(sets: list[str]) -> str:
    return f"mean loss over {', '.join(sets)}"


def loss_on(held_out: str) -> str:
    return f"loss on {held_out}"


def figure_of(task: str, scores: dict[str, dict[str, dict]]) -> str:
    return f"{scores[task]['base']['metric']} on {task}"


def loss_over(sets: list[str]) -> str:
    """The figure by which a domain with these held-out sets is judged."""
    return loss_on(sets[0]) if len(sets) == 1 else mean_over(sets)


def rankings(params: Params, means: dict[str, np.ndarray], samples: dict[str, np.ndarray]) -> dict[str, list[dict]]:
    """Rankings by the mean loss over all held-out sets, by the loss on each set, and by the mean loss over the sets of each
    domain; from losses [models] and resamples [models, times] of each set."""
    sets = {mean_over(params.heldout): params.heldout} | {loss_on(name): [name] for name in params.heldout}
    sets |= {loss_over(own): own for domain in params.domains if (own := params.own_sets(domain))}
    return {
        figure: ranked(params.models, *(np.mean([of[name] for name in names], axis=0) for of in (means, samples)))
        for figure, names in sets.items()
    }


def of_finetuned(
    tasks: dict[str, TaskPredictions], samples: dict[str, np.ndarray], finetuned: list[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each task the figure of these models [models] and its resamples [models, times]."""
    which = {task: [of.models.index(name) for name in finetuned] for task, of in tasks.items()}
    return {task: (of.values.mean(1)[which[task]], samples[task][which[task]]) for task, of in tasks.items()}


def ranked(models: list[str], values: np.ndarray, drawn: np.ndarray, highest: bool = False) -> list[dict]:
    """The models of `values` [models] in order, the lowest first (or the highest); after the first, each with the first's
    difference to it, from their resamples `drawn` [models, times], and whether that is significant."""
    order = np.argsort(-values if highest else values, kind="stable")
    first, found = order[0], []
    for place in order:
        one = {"model": models[place], "value": round(float(values[place]), 4)}
        if place != first:
            gap = loss_difference(drawn[first], drawn[place], (values[first], values[place]))
            one |= {"gap": gap, "significant": apart(gap["ci95"])}
        found.append(one)
    return found


def choose(figure: str, ranking: list[dict], end: str) -> dict:
    """The first of a ranking, and whether it is significantly better than the next one."""
    best, second = ranking[:2]
    return {
        "model": best["model"],
        "rule": f"{end} {figure}",
        "why": verdict(ranking),
        "significant": second["significant"],
    }


def verdict(ranking: list[dict], ci95: list[float] | None = None) -> str:
    """The figure of the first of a ranking, with its interval where given, and how far it is ahead of the next."""
    best, second = ranking[:2]
    gap = second["gap"]
    noise = "significant" if second["significant"] else "not significant"
    found = f"{bounds(gap['ci95'])}, {noise}" if gap["ci95"] else "(a single group has no interval)"
    figure = f"{best['value']:.3f}" + (f" {bounds(ci95)}" if ci95 else "")
    return f"{figure}; the next best is {second['model']} with {second['value']:.3f}, a difference of {gap['diff']:.3f} {found}"
