"""`dapt sweep SETTING=VALUE,VALUE … --domain X`: a domain trained under each combination of settings, side by side in a table.

Settings are chosen by the loss on the validation text; the held-out text says what the chosen ones are worth, and would say
too much if it had been asked which to choose.
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

PARTS = ("model", "repair", "split", "train")  # of a profile, which decide what a training ends in
VALUE = r"[\w+-]([\w.+-]*[\w+-])?"  # a number or a word, which can stand in the name of an experiment
WHY = (
    "The held-out loss is left out: settings chosen by it would make it look better than it is. `dapt summary` and the report "
    "have it, of the settings that were chosen."
)
Setting = tuple[str, str]  # its dotted place in the profile, and a value as it is typed


def parsed(text: str) -> list[Setting]:
    """
    >>> parsed("train.lr=1e-3,2e-3")
    [('train.lr', '1e-3'), ('train.lr', '2e-3')]
    """
    name, given, values = text.partition("=")
    if not given or not all(re.fullmatch(VALUE, value) for value in values.split(",")):
        raise UserError(f"{text}: must be SETTING=VALUE,VALUE, such as train.lr=1e-3,2e-3")
    if (part := name.split(".")[0]) not in PARTS:
        known = f"a training depends on {', '.join(PARTS)}"
        raise UserError(f"{name} decides nothing of a training{config.instead(part, PARTS, known)}")
    if len(set(values.split(","))) < len(values.split(",")):
        raise UserError(f"{text}: a value stands there twice; give each once")
    return [(name, value) for value in values.split(",")]


def there(values: dict[str, Any], place: str) -> bool:
    """Whether a profile's file has something at this place."""
    for name in place.split("."):
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def check(profile: Path, values: dict[str, Any], chosen: Iterable[Setting]) -> None:
    """Refuse settings that the profile, whose file has these values, does not know, or that do not go with the others there."""
    yaml, written, values = YAML(typ="safe", pure=True), io.StringIO(), deepcopy(values)
    for place, value in chosen:
        *above, last = place.split(".")
        at = values
        for name in above:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise UserError(f"{profile}: {place}: {name} is a value, and has no settings of its own")
        at[last] = yaml.load(value)
    yaml.dump(values, written)
    config.parse(written.getvalue(), f"{profile} with {told(chosen)}", config.Profile)


def told(chosen: Iterable[Setting]) -> str:
    return ", ".join(f"{place}={value}" for place, value in chosen)


def name_of(domain: str, chosen: Iterable[Setting]) -> str:
    """An experiment's name, one that is not taken: those of earlier sweeps stay.

    >>> name_of("biomed", [("train.lr", "1e-3"), ("model.base", "minilm")])
    'biomed-lr-1e-3-base-minilm'
    """
    name = "-".join([domain, *(f"{place.split('.')[-1]}-{value}" for place, value in chosen)])
    number = 1
    while experiments.there(name if number == 1 else f"{name}.{number}"):
        number += 1
    return name if number == 1 else f"{name}.{number}"


def experiment(domain: str, name: str, settings: list[str], chosen: Iterable[Setting]) -> list[str]:
    """Train under the chosen settings, in DVC's words; the row of the table."""
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
        raise UserError(f"{twice} stands there twice; give all its values at once, with commas")
    combinations = list(product(*map(parsed, given)))
    values = YAML(typ="safe", pure=True).load(profile.read_text(encoding="utf-8"))
    for chosen in combinations:
        check(profile, values, chosen)
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}; it must be 1 or more")
    LOGS.mkdir(exist_ok=True)
    names = [name_of(domain, chosen) for chosen in combinations]
    print(f"{len(names)} trainings of {domain}, {min(jobs, len(names))} at once; what each says is in logs/NAME.log")
    settings = [
        [f"{profile}:{'' if there(values, place) else '+'}{place}={value}" for place, value in chosen]
        for chosen in combinations
    ]
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(partial(experiment, domain), names, settings, combinations))
    places = [place for place, _ in combinations[0]]
    print(f"\n{rows(found, ['experiment', *places, 'loss on valid', 'tokens per second'])}\n\n{WHY}")
    if failed := [row[0] for row in found if row[-2] == "failed"]:
        raise UserError(f"{len(failed)} of {len(found)} failed: {', '.join(failed)}; look into their logs")
    best = min(found, key=lambda row: float(row[-2]))
    print(f"next: dvc exp apply {best[0]}, which has the lowest loss on valid")
