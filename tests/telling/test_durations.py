import pytest

from dapt.telling.durations import seconds


def told(*records: tuple) -> list[dict]:
    """Events from their time, their name and, of `done`, the model."""
    return [
        {"time": time, "event": event} | ({"model_sha256": model[0]} if model else {})
        for time, event, *model in records
    ]


STARTS = told(
    (100, "started"),
    (105, "left"),
    (200, "started"),
    (210, "done", "aa"),
    (300, "started"),
    (301, "step"),
    (400, "started"),
    (402, "failed"),
    (500, "started"),
    (504, "done", "bb"),
    (600, "started"),
    (700, "step"),
)


def test_the_starts_of_a_training_are_summed_up_to_the_model_that_it_made():
    assert [seconds(STARTS, made) for made in ("aa", "bb", "cc")] == [15, 7, None]
    assert seconds([], "aa") is None


@pytest.mark.parametrize("last", ["left", "failed", "step"])
def test_a_start_that_makes_no_model_counts_for_none(last):
    assert seconds(told((1, "started"), (2, last)), "of an older run") is None


def test_the_clock_of_another_node_may_be_an_hour_behind():
    events = told((5000, "started"), (5010, "left"), (1400, "started"), (1405, "done", "aa"))
    assert seconds(events, "aa") == 15


def test_what_the_launcher_tells_is_no_time_of_training():
    """A job waits in its queue before it starts, and ends when Slurm has noticed."""
    events = told((0, "queued"), (50, "allocated"), (60, "started"), (70, "done", "aa"), (90, "ended"))
    assert seconds(events, "aa") == 10
