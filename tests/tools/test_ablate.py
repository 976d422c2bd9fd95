"""What each mistake changes in the input of a training, and the whole of one, in a clone of a finished repository."""

import contextlib
import json

import pytest

from dapt.core import config
from dapt.tools import ablate
from repositories import run


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture()
def here(clone, tmp_path):
    """The workspace of an ablation of finance, beside the clone in which the test stands."""
    folder = tmp_path / "ablation"
    folder.mkdir()
    with contextlib.chdir(clone):
        yield ablate.workspace(folder, config.load(), "finance")


def test_only_what_a_mistake_changes_is_a_file_of_its_own(here, clone):
    before = (clone / "data/split/finance/train.jsonl").read_bytes()
    ablate.concatenated(here)
    files = {path.relative_to(here.folder).as_posix() for path in here.folder.rglob("*") if not path.is_symlink()}
    assert {name for name in files if "." in name} == {
        "params.yaml",
        "dvc.yaml",
        *(f"profiles/{path.name}" for path in (clone / "profiles").iterdir()),
        "data/split/finance/train.jsonl",
    }
    assert (clone / "data/split/finance/train.jsonl").read_bytes() == before


def test_concatenated_text_is_one_document_with_all_texts(here, clone):
    ablate.concatenated(here)
    [one] = rows(here.text)
    assert one["text"] == " ".join(row["text"] for row in rows(clone / "data/split/finance/train.jsonl"))


def test_truncated_texts_are_the_first_tokens_of_each(here, clone, monkeypatch):
    monkeypatch.setattr(ablate, "LENGTH", 5)
    ablate.truncated(here)
    whole, cut = (rows(path) for path in (clone / "data/split/finance/train.jsonl", here.text))
    assert len(whole) == len(cut)
    for row, start in zip(whole, cut):
        assert row["text"].startswith(start["text"]) and 0 < len(start["text"].split()) <= 5
    assert any(row["text"] != start["text"] for row, start in zip(whole, cut))


def test_the_test_rows_of_the_domain_s_tasks_are_added(here, clone):
    tasks = ablate.tasks_of(here.params, "finance")
    ablate.tests_left_in(here)
    added = rows(here.text)[len(rows(clone / "data/split/finance/train.jsonl")) :]
    expected = [row["text"] for task in tasks for row in rows(clone / f"data/split/tasks/{task}/test.jsonl")]
    assert [row["text"] for row in added] == expected and expected


def test_a_mistake_is_compared_with_the_model_that_does_not_make_it(clone):
    found = [
        json.loads(line) for line in run(clone, "dapt", "ablate", "truncate", "--json").splitlines() if line[0] == "{"
    ]
    assert [one["domain"] for one in found] == ["biomed", "finance"]
    for one in found:
        default = json.loads((clone / f"metrics/eval/{one['domain']}.json").read_text())[one["domain"]]["loss"]
        difference, (low, high) = one["difference"]["diff"], one["difference"]["ci95"]
        assert one["default"] == pytest.approx(default, abs=1e-4) and low <= difference <= high
        assert one["with_mistake"] - one["default"] == pytest.approx(difference, abs=2e-4)
    assert not run(clone, "git", "status", "--porcelain")


def test_an_unknown_mistake_is_refused(clone):
    message = run(clone, "dapt", "ablate", "heads", code=2)
    assert "unknown ablation 'heads'; choose from: head, truncate, concatenate, leak" in message
