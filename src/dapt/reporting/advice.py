"""Which model to use for a domain: the one with the lowest loss on the domain's own held-out sets."""

from dapt.core.config import Params
from dapt.reporting.comparison import loss_over, verdict


def advice(params: Params, comparison: dict, domain: str) -> str:
    """One sentence: the model, its loss (with an interval if the domain has a single set), and the paired difference to the
    next best model; or why no model can be named yet, and what to do. `comparison` is metrics/comparison.json."""
    sets = params.own_sets(domain)
    if not sets:
        return f"For {domain}, no model can be named: heldout in params.yaml contains no set of its text."
    ranking = comparison["best"].get(loss_over(sets))
    if ranking is None:
        return f"For {domain}, the models have not been compared yet: run dvc repro compare."
    model = ranking[0]["model"]
    ci95 = comparison["matrix"][model][sets[0]]["loss_ci95"] if len(sets) == 1 else None
    figure = "loss" if len(sets) == 1 else "mean loss"
    return f"For {domain}, use {model} (lowest {figure} on held-out {' and '.join(sets)}): {verdict(ranking, ci95)}."
