"""How long trainings took: logs/took-DOMAIN.jsonl, a line for each start of one. It differs between two runs, so it is read
for the screen alone.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dapt.core.files import json_line, read_json, read_lines
from dapt.core.paths import LOGS, METRICS


def log(domain: str) -> Path:
    return LOGS / f"took-{domain}.jsonl"


@contextmanager
def noted(domain: str) -> Iterator[None]:
    """Append the seconds of the block, however it ends; where it ends well, with the hash of the model that it made."""
    began, made = time.monotonic(), None
    try:
        yield
        made = read_json(METRICS / "train" / f"{domain}.json")["model_sha256"]
    finally:
        LOGS.mkdir(exist_ok=True)
        with open(log(domain), "a", encoding="utf-8") as file:
            file.write(json_line({"seconds": round(time.monotonic() - began, 1), "model_sha256": made}))


def seconds(domain: str, model_sha256: str) -> float | None:
    """Of the training that made this model, with its starts that were cut off (but for those that were killed); None where
    it was made elsewhere."""
    found, total = None, 0.0
    for row in read_lines(log(domain)) if log(domain).exists() else ():
        total += row["seconds"]
        if row["model_sha256"]:
            found = total if row["model_sha256"] == model_sha256 else found
            total = 0.0
    return found


def words(duration: float | None) -> str:
    """
    >>> words(33.4), words(75), words(14100), words(None)
    ('33 s', '1 min 15 s', '3 h 55 min', '–')
    """
    if duration is None:
        return "–"
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
