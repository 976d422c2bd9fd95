"""Events as JSON lines: written whole, read again, and said in sentences."""

import json
import subprocess
import sys

import pytest

from dapt.telling import events
from dapt.telling.errors import UserError
from dapt.telling.events import Events


def test_an_event_is_a_line_with_its_facts_and_a_sentence_for_people(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    told = Events(tmp_path / "logs/train-biomed.jsonl", "train", "biomed")
    told.tell("resumed", step=40)
    told.tell("valid", step=50, loss=4.56789)
    [resumed, valid] = map(json.loads, (tmp_path / "logs/train-biomed.jsonl").read_text().splitlines())
    assert resumed.pop("time") <= valid.pop("time")
    about = {"stage": "train", "name": "biomed", "job": "7", "node": "n1"}
    assert resumed == {"event": "resumed", "step": 40} | about
    assert valid == {"event": "valid", "step": 50, "loss": 4.56789} | about
    assert capsys.readouterr().out == "resumed at step 40\nbiomed: step 50, loss on valid 4.5679\n"


def test_a_process_that_is_not_the_first_tells_nothing(capsys):
    Events(None, "train", "biomed").tell("resumed", step=40)
    assert capsys.readouterr().out == ""


def test_a_line_that_is_being_written_is_left_for_the_next_look(tmp_path):
    path = tmp_path / "events"
    assert events.read(path) == [] and events.size(path) == 0
    events.append(path, {"event": "one"})
    begun = events.size(path)
    with open(path, "a") as file:
        file.write('{"event": "t')
    assert events.read(path) == [{"event": "one"}] and events.read(path, begun) == []
    with open(path, "a") as file:
        file.write('wo"}\n')
    assert events.read(path, begun) == [{"event": "two"}]


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path):
    path = tmp_path / "events"
    events.append(path, {"event": "one"})
    with open(path, "ab") as file:
        file.write('{"event": "two", "name": "…'.encode()[:-1])
    begun = events.size(path)
    events.append(path, {"event": "three"})
    assert events.read(path) == [{"event": "one"}, {"event": "three"}]
    assert events.read(path, begun) == [{"event": "three"}]


def test_several_processes_may_tell_at_once(tmp_path):
    script = (
        "import sys; from pathlib import Path; from dapt.telling.events import append\n"
        "for number in range(300): append(Path(sys.argv[1]), {'event': 'step', 'who': sys.argv[2], 'text': 'x' * number})"
    )
    tellers = [subprocess.Popen([sys.executable, "-c", script, tmp_path / "events", str(who)]) for who in range(3)]
    assert [teller.wait(60) for teller in tellers] == [0, 0, 0]
    found = events.read(tmp_path / "events")
    assert sorted((record["who"], len(record["text"])) for record in found) == [
        (str(who), number) for who in range(3) for number in range(300)
    ]


@pytest.mark.parametrize("error, message", [(UserError("no room"), "no room"), (ValueError("odd"), "ValueError: odd")])
def test_a_failure_is_told_with_its_reason(tmp_path, error, message):
    told = Events(tmp_path / "events", "clean", "news")
    with pytest.raises(type(error)), told.failures():
        raise error
    assert [(record["event"], record["message"]) for record in events.read(tmp_path / "events")] == [
        ("failed", message)
    ]
