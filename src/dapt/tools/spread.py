"""`dapt spread DOMAIN`: how far the held-out losses of a domain scatter over pre-training seeds.

Each seed is an experiment of DVC's in a temporary folder: the workspace is left as it is, and what was run before is not
run again. The first seed is the profile's, the others follow it.
"""

import json
import subprocess
import sys
from statistics import mean, stdev

from dapt.core import config
from dapt.core.paths import METRICS, profile_path
from dapt.reporting.markdown import rows
from dapt.telling.errors import UserError


def experiment(domain: str, profile: str, seed: int) -> dict:
    """metrics/eval of the domain, trained and judged under a seed; the experiment stays in `dvc exp show`."""
    name = f"spread-{domain}-{seed}"
    if _refs(name):
        _dvc_exp("remove", name)  # to run with its name taken, DVC wants --force, which also runs every stage anew
    _dvc_exp("run", "--temp", "--name", name, "-S", f"{profile_path(profile)}:train.seed={seed}", f"evaluate@{domain}")
    [ref] = _refs(name)
    return json.loads(_git("show", f"{ref}:{(METRICS / 'eval' / f'{domain}.json').as_posix()}"))


def _refs(name: str) -> list[str]:
    return _git("for-each-ref", "--format=%(refname)", f"refs/exps/**/{name}").split()


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    if done.returncode:
        raise UserError(
            f"git {words[0]} failed ({done.stderr.strip()}); experiments need a clone of the git repository"
        )
    return done.stdout


def _dvc_exp(*words: str) -> None:
    if code := subprocess.run([sys.executable, "-m", "dvc", "exp", *words], stdout=sys.stderr).returncode:
        raise UserError(f"dvc exp {' '.join(words)} ended with code {code}; what it said stands above")


def spread(found: list[dict], held_out: list[str]) -> dict:
    """For each set the losses, their mean and standard deviation (n - 1 below the line)."""
    losses = {name: [one[name]["loss"] for one in found] for name in held_out}
    return {
        name: {"each": each, "mean": round(mean(each), 4), "sd": round(stdev(each), 4)} for name, each in losses.items()
    }


def table(loss: dict) -> str:
    """In Markdown, a row a set."""
    lines = [
        [name, ", ".join(f"{value:.4f}" for value in of["each"]), f"{of['mean']:.4f}", f"{of['sd']:.4f}"]
        for name, of in loss.items()
    ]
    return rows(lines, ["held-out set", "loss under each seed", "mean", "sd"])


def run(domain: str, count: int, as_json: bool) -> None:
    params = config.load()
    if count < 2:
        raise UserError("a spread needs two seeds or more: --seeds 3")
    seeds = [params.active.train.seed + number for number in range(count)]
    loss = spread([experiment(domain, params.profile, seed) for seed in seeds], params.heldout)
    print(json.dumps({"domain": domain, "seeds": seeds, "loss": loss}) if as_json else table(loss))
