"""`dapt spread DOMAIN`: how much the held-out losses of a domain vary between pre-training seeds.

Each seed is a DVC experiment. The first seed is the profile's, and the others are the numbers after it.
"""

import json
from statistics import mean, stdev

from dapt.core import config
from dapt.core.paths import METRICS, profile_path
from dapt.reporting.markdown import rows
from dapt.telling.errors import UserError
from dapt.tools import experiments


def experiment(domain: str, profile: str, seed: int) -> dict:
    """metrics/eval of the domain, trained and evaluated with a seed; the experiment stays in `dvc exp show`."""
    name = f"spread-{domain}-{seed}"
    if experiments.there(name):
        experiments.dvc_exp("remove", name)  # to reuse a name, DVC needs --force, which reruns every stage
    experiments.run(name, [f"{profile_path(profile)}:train.seed={seed}"], f"evaluate@{domain}")
    return experiments.result(name, METRICS / "eval" / f"{domain}.json")


def spread(found: list[dict], held_out: list[str]) -> dict:
    """For each set the losses, their mean and sample standard deviation (n - 1)."""
    losses = {name: [one[name]["loss"] for one in found] for name in held_out}
    return {
        name: {"each": each, "mean": round(mean(each), 4), "sd": round(stdev(each), 4)} for name, each in losses.items()
    }


def table(loss: dict) -> str:
    """The Markdown table, one row per set."""
    lines = [
        [name, ", ".join(f"{value:.4f}" for value in of["each"]), f"{of['mean']:.4f}", f"{of['sd']:.4f}"]
        for name, of in loss.items()
    ]
    return rows(lines, ["held-out set", "loss with each seed", "mean", "sd"])


def run(domain: str, count: int, as_json: bool) -> None:
    params = config.load()
    if count < 2:
        raise UserError(f"--seeds is {count}; it must be at least 2")
    seeds = [params.active.train.seed + number for number in range(count)]
    loss = spread([experiment(domain, params.profile, seed) for seed in seeds], params.heldout)
    print(json.dumps({"domain": domain, "seeds": seeds, "loss": loss}) if as_json else table(loss))
