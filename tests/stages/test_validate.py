"""`dapt validate`: the figures of the data card, and a pipeline that stops where a row is wrong."""

import json
import re

import pytest

from dapt.core.files import read_lines, sha256, write_json, write_lines
from dapt.stages import validate
from dapt.telling.errors import UserError
from repositories import replaced


def test_the_rows_of_every_corpus_are_counted(workspace, capsys):
    before = (workspace / "metrics/validate.json").read_bytes()
    validate.run()
    assert (workspace / "metrics/validate.json").read_bytes() == before
    found, said = json.loads(before), capsys.readouterr().out
    for path in (workspace / "data/processed").glob("*.jsonl"):
        rows = list(read_lines(path))
        assert re.search(rf"^{path.stem}: {len(rows):,} valid rows( \(cleaning dropped \d|, )", said, re.M), said
        assert found[path.stem]["rows"] == len(rows) and found[path.stem]["bytes"] == path.stat().st_size
    assert found["made_from"] == [{"path": "data/processed", "sha256": sha256(workspace / "data/processed")}]
    assert found["biomed_mlm"]["shown"] and not found["general"]["shown"]  # as `show` in the profile says


def test_a_wrong_row_stops_the_pipeline(workspace):
    path = workspace / "data/processed/general.jsonl"
    rows = list(read_lines(path))
    path.unlink()
    write_lines(path, [*rows[:3], rows[3] | {"id": "0" * 16}, *rows[4:]])
    with pytest.raises(UserError, match="general.jsonl line 4: id is not the hash"):
        validate.run()


def test_rows_that_cleaning_did_not_count_stop_the_pipeline(workspace):
    path = workspace / "metrics/clean/general.json"
    report = json.loads(path.read_text())
    write_json(path, report | {"kept": report["kept"] + 1})
    with pytest.raises(UserError, match=f"general.jsonl has {report['kept']} rows, .* run dvc repro clean@general"):
        validate.run()


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        (
            "params.yaml",
            "words: tfidf",
            "words: tfid",
            "tasks.finance_classification.words: .* has no baseline 'tfid'; choose one of: .*tfidf",
        ),
        (
            "profiles/sample.yaml",
            "length: 32,",
            "length: 4000,",
            "finance_classification of the profile: length is 4000 tokens, but .* has only .* positions",
        ),
    ],
)
def test_a_task_that_the_base_cannot_be_fine_tuned_on_is_refused(workspace, file, old, new, message):
    (workspace / file).write_text(replaced((workspace / file).read_text(), old, new))
    with pytest.raises(UserError, match=message):
        validate.run()


def test_a_base_whose_type_has_no_head_for_a_task_is_refused(workspace):
    """DeBERTa's first version has no multiple-choice head in transformers; its second has one."""
    path = workspace / "data/raw/model/base/config.json"
    config = json.loads(path.read_text()) | {"model_type": "deberta", "architectures": ["DebertaForMaskedLM"]}
    path.unlink()
    write_json(path, config)
    for file, old, new in (
        ("profiles/sample.yaml", "kind: classification", "kind: multiple_choice"),
        ("params.yaml", "words: tfidf", "words: overlap"),
    ):
        (workspace / file).write_text(replaced((workspace / file).read_text(), old, new))
    with pytest.raises(UserError, match="transformers has no ModelForMultipleChoice for the model type of .*base"):
        validate.run()
