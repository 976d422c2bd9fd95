"""`dapt compare`: what is read, what is written, and what cannot be compared."""

import json
import shutil

import pytest

from dapt.core import config
from dapt.core.files import read_lines, sha256, write_json
from dapt.reporting.plots import read_csv
from dapt.stages import compare
from dapt.telling.errors import UserError

WRITTEN = ("comparison.json", "mistakes.json", "crossdomain.csv", "tasks.csv", "curves.csv", "calibration.csv")


def test_it_writes_the_comparison_and_its_tables_and_the_same_bytes_again(workspace):
    before = {name: (workspace / "metrics" / name).read_bytes() for name in WRITTEN}
    for name in before:
        (workspace / "metrics" / name).unlink()
    shutil.rmtree(workspace / "metrics/confusion")
    compare.run()
    assert {name: (workspace / "metrics" / name).read_bytes() for name in WRITTEN} == before
    comparison = json.loads(before["comparison.json"])
    for model, cells in comparison["matrix"].items():
        evaluated = json.loads((workspace / f"metrics/eval/{model}.json").read_text())
        assert {held_out: cell["loss"] for held_out, cell in cells.items()} == {
            held_out: evaluated[held_out]["loss"] for held_out in cells
        }
    made_from = ("data/eval", "metrics/eval", "metrics/tasks", "data/split/tasks")
    assert comparison["made_from"] == [{"path": path, "sha256": sha256(workspace / path)} for path in made_from]
    assert {path.stem for path in (workspace / "metrics/confusion").iterdir()} == {"finance_classification"}
    assert {row["model"] for row in read_csv(workspace / "metrics/curves.csv")} == {"biomed", "finance", "general"}


def test_models_of_different_tokenizers_are_refused(workspace):
    path = workspace / "metrics/eval/finance.json"
    found = json.loads(path.read_text())
    for made in found["made_from"]:
        if made["path"].endswith("tokenizer.json"):
            made["sha256"] = "0" * 64
    path.unlink()
    write_json(path, found)
    with pytest.raises(UserError, match="base and finance have different tokenizers"):
        compare.run()


@pytest.mark.parametrize("show", [True, False])
def test_mistakes_are_shown_in_words_only_where_the_licence_allows_it(workspace, show):
    """The task's rows are those of its test side; its corpus has one source."""
    params = config.load()
    task = next(iter(params.tasks))
    corpus = params.active.tasks[task].corpus
    sources = [source.model_copy(update={"show": show}) for source in params.active.corpora[corpus]]
    params.active.corpora[corpus] = sources
    rows = {row["id"]: row for row in read_lines(workspace / f"data/split/tasks/{task}/test.jsonl")}
    assert compare.rows_to_show(params, task) == (rows if show else {}) and rows
