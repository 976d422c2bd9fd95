"""`dapt sweep SETTING=VALUE,VALUE … --domain X`: trains a domain with each combination of settings, and compares them in a
table.

Settings are chosen by the loss on the validation text. The held-out text then measures the chosen settings; it would be biased
if it had been used for the choice.
"""

import io
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from dapt.core import config
from dapt.core.paths import LOGS, METRICS, profile_path, repeated
from dapt.reporting.markdown import rows
from dapt.telling import events
from dapt.telling.errors import UserError
from dapt.tools import experiments

PARTS = ("model", "repair", "split", "train")  # sections of a profile that a training depends on
VALUE = r"[\w+-]([\w.+-]*[\w+-])?"  # a number or a word that can be part of an experiment's name
WHY = (
    "The held-out loss is not shown: if settings were chosen by it, it would look better than it is. `dapt summary` and the "
    "report show it for the settings that you chose."
)
Setting = tuple[str, str]  # dotted path in the profile, and a value as typed


def parsed(text: str) -> list[Setting]:
    """
    >>> parsed("train.lr=1e-3,2e-3")
    [('train.lr', '1e-3'), ('train.lr', '2e-3')]
    """
    name, given, values = text.partition("=")
    if not given or not all(re.fullmatch(VALUE, value) for value in values.split(",")):
        raise UserError(f"{text} is not of the form SETTING=VALUE,VALUE, such as train.lr=1e-3,2e-3")
    if (part := name.split(".")[0]) not in PARTS:
        known = f"a training depends on {', '.join(PARTS)}"
        raise UserError(f"{name} does not affect a training{config.instead(part, PARTS, known)}")
    if len(set(values.split(","))) < len(values.split(",")):
        raise UserError(f"{text}: a value is given twice; give each value once")
    return [(name, value) for value in values.split(",")]


def there(values: dict[str, Any], place: str) -> bool:
    """Whether the values of a profile have this dotted path."""
    for name in place.split("."):
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def check(profile: Path, values: dict[str, Any], chosen: Iterable[Setting]) -> None:
    """Refuse settings that the profile (with these values) does not know, or that conflict with its other settings."""
    yaml, written, values = YAML(typ="safe", pure=True), io.StringIO(), deepcopy(values)
    for place, value in chosen:
        *above, last = place.split(".")
        at = values
        for name in above:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise UserError(f"{profile}: {place}: {name} is a single value and has no settings below it")
        at[last] = yaml.load(value)
    yaml.dump(values, written)
    config.parse(written.getvalue(), f"{profile} with {told(chosen)}", config.Profile)


def told(chosen: Iterable[Setting]) -> str:
    return ", ".join(f"{place}={value}" for place, value in chosen)


def name_of(domain: str, chosen: Iterable[Setting]) -> str:
    """A free name for an experiment; the experiments of earlier sweeps are kept.

    >>> name_of("biomed", [("train.lr", "1e-3"), ("model.base", "minilm")])
    'biomed-lr-1e-3-base-minilm'
    """
    name = "-".join([domain, *(f"{place.split('.')[-1]}-{value}" for place, value in chosen)])
    number = 1
    while experiments.there(name if number == 1 else f"{name}.{number}"):
        number += 1
    return name if number == 1 else f"{name}.{number}"


def experiment(domain: str, name: str, settings: list[str], chosen: Iterable[Setting]) -> list[str]:
    """Train with the chosen settings (`settings` are DVC's -S options); return the row of the table."""
    told_to, log = (LOGS.absolute() / f"{name}{end}" for end in (".jsonl", ".log"))
    begin = events.size(told_to)
    row = [name, *(value for _, value in chosen)]
    try:
        with open(log, "wb") as said:
            experiments.run(name, settings, f"train@{domain}", said, DAPT_EVENTS=str(told_to))
    except UserError as error:
        print(f"{name}: {error}")
        return [*row, "failed", ""]
    loss = experiments.result(name, METRICS / "train" / f"{domain}.json")["valid_loss"]
    steps = [one for one in events.read(told_to, begin) if one["event"] == "step"]
    print(f"{name}: loss on valid {loss:.4f}", flush=True)
    return [*row, f"{loss:.4f}", f"{steps[-1]['tokens_per_second']:,.0f}" if steps else "not trained again"]


def run(domain: str, given: list[str], jobs: int) -> None:
    profile = profile_path(config.load().profile)
    if twice := repeated([text.partition("=")[0] for text in given]):
        raise UserError(f"{twice} is given twice; give all its values at once, separated by commas")
    combinations = list(product(*map(parsed, given)))
    values = YAML(typ="safe", pure=True).load(profile.read_text(encoding="utf-8"))
    for chosen in combinations:
        check(profile, values, chosen)
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}; it must be at least 1")
    LOGS.mkdir(exist_ok=True)
    names = [name_of(domain, chosen) for chosen in combinations]
    print(
        f"{len(names)} trainings of {domain}, {min(jobs, len(names))} at the same time; the output of each is in logs/NAME.log"
    )
    settings = [
        [f"{profile}:{'' if there(values, place) else '+'}{place}={value}" for place, value in chosen]
        for chosen in combinations
    ]
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(partial(experiment, domain), names, settings, combinations))
    places = [place for place, _ in combinations[0]]
    print(f"\n{rows(found, ['experiment', *places, 'loss on valid', 'tokens per second'])}\n\n{WHY}")
    if failed := [row[0] for row in found if row[-2] == "failed"]:
        raise UserError(
            f"{len(failed)} of {len(found)} trainings failed: {', '.join(failed)}; see logs/NAME.log of each"
        )
    best = min(found, key=lambda row: float(row[-2]))
    print(f"next: dvc exp apply {best[0]}, which has the lowest loss on valid")
