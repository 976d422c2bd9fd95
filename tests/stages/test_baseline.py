import json

import pytest

from dapt.core.files import read_lines, write_lines
from dapt.stages import baseline
from dapt.telling.errors import UserError
from repositories import replaced
from toys import answers, choices, repository_with, topics


@pytest.mark.parametrize(
    "task, rows, words, least",
    [
        ("finance_classification", topics, "tfidf", 0.95),
        ("multiple_choice", choices, "overlap", 0.0),
        ("answer_ranking", answers, "bm25", 0.6),
    ],
)
def test_each_task_has_two_baselines_in_the_format_of_models(
    model_folder, tmp_path, monkeypatch, task, rows, words, least
):
    monkeypatch.chdir(repository_with(tmp_path, model_folder, task, rows, {"rows": 100}))
    baseline.run(task)
    for name in ("majority", words):
        found = json.loads((tmp_path / f"metrics/tasks/{task}/{name}.json").read_text())
        assert found["unseen_in"] == 0 and found["seeds"] == [found["mean"]] and found["sd"] == 0
        assert found["rows"]["train"] == found["rows"]["train_of"] == 170 and found["metric"] in found["same_rows"]
        lines = list(read_lines(tmp_path / f"data/eval/tasks/{task}/{name}.jsonl"))
        assert sum(row["value"][0] for row in lines) / 60 == pytest.approx(found["mean"], abs=1e-4)
        for other, of in found.get("variants", {}).items():
            assert of["metric"] == found["metric"] and of["ci95"][0] <= of["mean"] <= of["ci95"][1]
            assert sum(row["variants"][other] for row in lines) / 60 == pytest.approx(of["mean"], abs=1e-4)
    assert found["mean"] >= least and list(found["variants"]) == {
        "tfidf": ["tfidf_plain"],
        "overlap": ["overlap_least"],
    }.get(words, [])


def test_majority_is_the_share_of_the_commonest_label(model_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(repository_with(tmp_path, model_folder, "finance_classification", topics, {}))
    baseline.run("finance_classification")
    folder = tmp_path / "data/split/tasks/finance_classification"
    train, test = ([row["label"] for row in read_lines(folder / f"{side}.jsonl")] for side in ("train", "test"))
    found = json.loads((tmp_path / "metrics/tasks/finance_classification/majority.json").read_text())
    assert found["mean"] == pytest.approx(test.count(max(set(train), key=train.count)) / 60, abs=1e-4)


def test_a_baseline_that_the_kind_lacks_is_refused(model_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(repository_with(tmp_path, model_folder, "multiple_choice", choices, {}))
    params = tmp_path / "params.yaml"
    params.write_text(replaced(params.read_text(), "words: overlap", "words: tfidf"))
    with pytest.raises(
        UserError,
        match="tasks.multiple_choice.words: the kind multiple_choice has no baseline 'tfidf'; choose one of: majority, ov",
    ):
        baseline.run("multiple_choice")


@pytest.mark.parametrize("side", ["train", "valid"])
def test_a_test_row_in_a_pre_training_set_is_refused(model_folder, tmp_path, monkeypatch, side):
    monkeypatch.chdir(repository_with(tmp_path, model_folder, "finance_classification", topics, {}))
    rows = list(read_lines(tmp_path / "data/split/tasks/finance_classification/test.jsonl"))
    write_lines(tmp_path / f"data/split/finance/{side}.jsonl", [{"id": "another"}, rows[7]])
    with pytest.raises(
        UserError,
        match=rf"1 test rows of finance_classification are also in data/split/finance/{side}.jsonl \(2-7, …\)",
    ):
        baseline.run("finance_classification")
    assert not (tmp_path / "metrics/tasks").exists()


def test_plain_tfidf_on_reuters_r8_is_as_published(committed_metrics):
    """.937 in Yao et al. 2019, table 2; the committed figure, of the official split."""
    found = json.loads((committed_metrics / "tasks/finance_classification/tfidf.json").read_text())
    assert found["variants"]["tfidf_plain"]["mean"] == pytest.approx(0.937, abs=0.02)
    assert found["rows"]["test"] > 2100
