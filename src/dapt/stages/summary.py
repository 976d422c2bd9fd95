"""`dapt summary`: the figures of the chosen domain on its own held-out text, with the same keys for every domain.

For a domain that combines others (biomed_finance) this is the text of all of them, weighted by masked tokens.
"""

import math

from dapt.core import config
from dapt.core.files import read_json, write_json
from dapt.core.paths import METRICS


def pooled(evaluated: dict, sets: list[str]) -> tuple[float, float]:
    """Loss per masked token over several sets, and its perplexity. The latter is computed from the sets' perplexities, which
    come from unrounded losses, so that for a single set it is that set's own."""
    masked = [evaluated[name]["masked_tokens"] for name in sets]
    logarithms = [math.log(evaluated[name]["perplexity"]) for name in sets]
    return (
        sum(evaluated[name]["loss"] * count for name, count in zip(sets, masked)) / sum(masked),
        math.exp(sum(one * count for one, count in zip(logarithms, masked)) / sum(masked)),
    )


def summary(domain: str, sets: list[str], base: dict, adapted: dict, trained: dict) -> dict:
    (before, perplexity_before), (after, perplexity) = pooled(base, sets), pooled(adapted, sets)
    return {
        "domain": domain,
        "loss": round(after, 4),
        "perplexity": round(perplexity, 2),
        "base_loss": round(before, 4),
        "base_perplexity": round(perplexity_before, 2),
        "gain": round(before - after, 4),
        "masked_tokens": sum(adapted[name]["masked_tokens"] for name in sets),
        "first_train_loss": trained["first_loss"],
        "last_train_loss": trained["last_loss"],
        "steps": trained["steps"],
        "tokens_seen": trained["tokens_seen"],
    }


def run() -> None:
    params = config.load()
    domain = params.domain
    figures = summary(
        domain,
        params.own_sets(domain),
        read_json(METRICS / "eval" / "base.json"),
        read_json(METRICS / "eval" / f"{domain}.json"),
        read_json(METRICS / "train" / f"{domain}.json"),
    )
    write_json(METRICS / "summary.json", figures)
    print(
        f"{domain}: loss {figures['base_loss']} → {figures['loss']}, perplexity {figures['base_perplexity']} → "
        f"{figures['perplexity']} on its own held-out text"
    )
