"""Events: one JSON object per line, appended whole, and the sentences that people read."""

import json
import multiprocessing
import time

import pytest

from dapt.telling import events
from dapt.telling.errors import UserError
from dapt.telling.events import Events


@pytest.fixture()
def told(tmp_path, monkeypatch) -> Events:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return Events(tmp_path / "logs/train-biomed.jsonl", "train", "biomed")


def test_an_event_says_when_of_what_and_what(told, capsys):
    heard = []
    told.listeners.append(heard.append)
    told.tell("valid", step=3, loss=2.5)
    told.tell("checkpoint", step=3)
    (valid, checkpoint) = events.read(told.path)
    assert valid.pop("time") == pytest.approx(time.time(), abs=60)
    assert valid == {"event": "valid", "stage": "train", "name": "biomed", "step": 3, "loss": 2.5}
    assert heard[1] == checkpoint and checkpoint["event"] == "checkpoint"
    assert capsys.readouterr().out == "biomed: step 3, loss on valid 2.5000\n"


def test_under_slurm_the_job_and_its_node_stand_there(told, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    Events(told.path, "train", "biomed").tell("checkpoint", step=1)
    (found,) = events.read(told.path)
    assert (found["job"], found["node"]) == ("17", "n1")


def test_without_a_file_nothing_is_written_or_said(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Events(None, "train", "biomed").tell("valid", step=3, loss=2.5)
    assert not list(tmp_path.iterdir()) and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "error, message", [(UserError("mend it"), "mend it"), (KeyError("x"), "KeyError: 'x'"), (None, None)]
)
def test_a_failure_is_told_and_raised(told, error, message):
    def fail():
        with told.failures():
            if error:
                raise error

    if error is None:
        fail()
    else:
        with pytest.raises(type(error)):
            fail()
    assert [record["message"] for record in events.read(told.path)] == ([message] if message else [])


def test_a_line_that_is_not_whole_yet_is_left_for_the_next_time(tmp_path):
    path = tmp_path / "events.jsonl"
    assert events.read(path) == [] and events.size(path) == 0
    events.append(path, {"event": "one"})
    begin = events.size(path)
    with open(path, "a") as file:
        file.write('{"event": "tw')
    assert events.read(path) == [{"event": "one"}] and events.read(path, begin) == []
    with open(path, "a") as file:
        file.write('o"}\n')
    assert events.read(path, begin) == [{"event": "two"}]


def append_many(path, name: str) -> None:
    for number in range(200):
        events.append(path, {"event": name, "number": number, "text": "x" * 3000})


def test_several_processes_append_to_one_file(tmp_path):
    path = tmp_path / "events.jsonl"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=append_many, args=(path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(found) == 600
    for name in "abc":
        assert [record["number"] for record in found if record["event"] == name] == list(range(200))
