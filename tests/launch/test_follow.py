"""Where a stage is, as its events tell."""

import time

import pytest

from dapt.launch import follow
from dapt.launch.follow import State

QUEUED_AT = time.mktime((2026, 11, 24, 10, 0, 0, 0, 0, -1))
LAUNCHED = [{"event": "launched"}, {"event": "begun", "pid": 41}]
QUEUED = [
    *LAUNCHED,
    {"event": "queued", "job": "7", "time": QUEUED_AT},
    {"event": "waits", "job": "7", "why": "no node is free", "start": "2026-11-25T09:30:00"},
]
TRAINING = [
    *QUEUED,
    {"event": "allocated", "job": "7", "node": "n1"},
    {"event": "started", "steps": 300},
    {"event": "valid", "step": 0, "loss": 8.274},
    {"event": "step", "step": 120, "steps": 300, "tokens_per_second": 50324, "loss": 5.667},
]
LEFT = [*TRAINING, {"event": "left", "step": 130, "steps": 300}]
RESTARTED = [
    *LEFT,
    {"event": "restarted", "restarts": 1, "after": "7", "ended": "asked to stop", "step": 130},
    {"event": "allocated", "job": "8", "node": "n2"},
    {"event": "resumed", "step": 130},
]


def ended(code: int) -> dict:
    return {"event": "ended", "code": code}


@pytest.mark.parametrize(
    "told, running, state, shown",
    [
        (LAUNCHED, True, "starting", {}),
        (QUEUED, True, "queued", {"job": "7", "queued": "11-24 10:00:00", "start": "2026-11-25T09:30:00"}),
        (
            TRAINING,
            True,
            "running",
            {"node": "n1", "step": "120", "steps": "300", "tokens_per_second": "50,324", "loss": "5.667"},
        ),
        ([*TRAINING, {"event": "valid", "step": 150, "loss": 4.5}], True, "running", {"step": "150", "loss": "5.667"}),
        (TRAINING, False, "killed", {"step": "120"}),
        ([*LEFT, ended(255)], False, "left", {"step": "130"}),
        (RESTARTED, True, "running", {"job": "8", "node": "n2", "step": "130", "restarts": "1"}),
        ([*RESTARTED, {"event": "done", "model_sha256": "ab"}, ended(0)], False, "done", {"job": "8"}),
        ([*LAUNCHED, ended(0)], False, "up to date", {}),
        ([*TRAINING, {"event": "failed", "message": "a reason"}, ended(255)], False, "failed", {"message": "a reason"}),
    ],
)
def test_the_state_of_a_training_is_read_from_its_events(told, running, state, shown):
    read = follow.read(told, running)
    assert ("queued" in read.facts) == (state == "queued")
    assert read.state == state and {name: read.shown(name) for name in shown} == shown
    assert read.finished == (state in ("done", "up to date"))


def test_why_a_training_did_not_finish_is_its_own_message():
    assert follow.read([*LAUNCHED, {"event": "failed", "message": "one"}, ended(1)], False).why == "one"
    assert follow.read([*LAUNCHED, ended(1)], False).why == "failed"
    cancelled = [*LEFT, {"event": "failed", "message": "job 7 was cancelled at step 130"}, ended(255)]
    assert follow.read(cancelled, False).why == "job 7 was cancelled at step 130"
    assert follow.read([*LEFT, ended(255)], False).why == "left at step 130"


def test_what_failed_is_said_with_its_log_and_what_was_not_started_is_counted():
    done, failed = State("done"), State("failed", facts={"message": "no"})
    assert follow.unfinished({"check": done}) is None
    said = follow.unfinished(
        {"check": done, "train@law": failed, "compare": State("waits for train@law", started=False)}
    )
    assert said == "1 of 3 did not finish: train@law (no; log: logs/launch-train-law.log); 1 were not started"
    waits = State("waits for its turn", started=False)
    assert follow.unfinished({"check": waits}) == "1 were not started, see logs/launch.log"
