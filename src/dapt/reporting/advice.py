"""Which model to use for a domain: the one with the lowest loss on the domain's own held-out sets."""

from dapt.core.config import Params
from dapt.reporting.comparison import loss_over, verdict


def advice(params: Params, comparison: dict, domain: str) -> str:
    """A sentence: the model, its loss (of a single set with its interval), and the paired difference to the next; or why
    there is none yet, and what to do. `comparison` is metrics/comparison.json."""
    sets = params.own_sets(domain)
    if not sets:
        return f"For {domain}, no model can be named: heldout in params.yaml has no set of its text."
    ranking = comparison["best"].get(loss_over(sets))
    if ranking is None:
        return f"For {domain}, the models are not compared yet; dvc repro compare does it."
    model = ranking[0]["model"]
    ci95 = comparison["matrix"][model][sets[0]]["loss_ci95"] if len(sets) == 1 else None
    figure = "loss" if len(sets) == 1 else "mean loss"
    return f"For {domain}, use {model} (lowest {figure} on held-out {' and '.join(sets)}): {verdict(ranking, ci95)}."
