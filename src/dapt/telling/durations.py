"""How long trainings took, from their events. Durations differ between runs, so they are only shown, never written to
outputs."""

from collections.abc import Iterable

OF_A_TRAINING = ("started", "resumed", "step", "valid", "checkpoint", "left", "done", "failed")


def seconds(events: Iterable[dict], model_sha256: str) -> float | None:
    """Duration of the training that made this model, including interrupted attempts up to their last event; None if it was
    trained elsewhere."""
    found, total, began, last = None, 0.0, 0.0, 0.0
    for record in (record for record in events if record["event"] in OF_A_TRAINING):
        if record["event"] == "started":
            total += last - began
            began = record["time"]
        last = record["time"]
        if record["event"] == "done":
            total += last - began
            found = total if record["model_sha256"] == model_sha256 else found
            total, began = 0.0, last
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
