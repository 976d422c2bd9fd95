import json

import numpy as np
import pytest

from dapt.core.files import read_lines, write_lines
from dapt.stages import finetune
from dapt.tasks import finetuning
from dapt.telling.errors import UserError
from repositories import change
from toys import answers, choices, repository_with, topics


@pytest.mark.parametrize(
    "task, rows, least",
    [("finance_classification", topics, 0.75), ("multiple_choice", choices, 0.5), ("answer_ranking", answers, 0.3)],
)
def test_each_kind_learns_a_toy_task_and_writes_what_compare_reads(
    model_folder, tmp_path, monkeypatch, task, rows, least
):
    monkeypatch.chdir(
        repository_with(
            tmp_path,
            model_folder,
            task,
            rows,
            {"rows": 160, "length": 24, "epochs": 12, "lr": 3e-3, "finetune.patience": 12},
        )
    )
    finetune.run(task, "base")
    found = json.loads((tmp_path / f"metrics/tasks/{task}/base.json").read_text())
    assert found["mean"] > least and found["mean"] == pytest.approx(np.mean(found["seeds"]), abs=1e-4)
    assert found["sd"] == pytest.approx(np.std(found["seeds"], ddof=1), abs=1e-4)
    assert found["ci95"][0] <= found["mean"] <= found["ci95"][1]
    assert found["rows"] == {
        "train": 160,
        "train_of": 170,
        "valid": 40,
        "test": 60,
        "left_out": 0,
        "test_groups": len({row["group"] for row in rows(60, 2)}),
        "candidates": {
            "finance_classification": 2,
            "multiple_choice": 4,
            "answer_ranking": len({str(row.get("answer")) for row in rows(60, 2)}),
        }[task],
    }
    lines = list(read_lines(tmp_path / f"data/eval/tasks/{task}/base.jsonl"))
    assert [row["id"] for row in lines] == [row["id"] for row in rows(60, 2)]
    assert np.mean([row["value"] for row in lines], axis=0) == pytest.approx(found["seeds"], abs=1e-4)
    assert all(0 < sure <= 1 for row in lines for sure in row["confidence"])
    assert (tmp_path / f"models/tasks/{task}/base/model.safetensors").is_file()


def test_two_runs_end_in_the_same_bits_and_never_look_at_the_test_rows(model_folder, tmp_path, monkeypatch):
    task, weights = "finance_classification", tmp_path / "models/tasks/finance_classification/base/model.safetensors"
    metrics = tmp_path / "metrics/tasks/finance_classification/base.json"
    monkeypatch.chdir(
        repository_with(tmp_path, model_folder, task, topics, {"epochs": 3, "lr": 3e-3, "finetune.dropout": 0.1})
    )
    finetune.run(task, "base")
    first = weights.read_bytes(), metrics.read_bytes()
    finetune.run(task, "base")
    assert (weights.read_bytes(), metrics.read_bytes()) == first
    rows = topics(60, 9)
    for row in rows:
        row["label"] = "bank" if row["label"] == "fever" else "fever"
    write_lines(tmp_path / f"data/split/tasks/{task}/test.jsonl", rows)
    finetune.run(task, "base")
    assert weights.read_bytes() == first[0] and metrics.read_bytes() != first[1]


def test_texts_longer_than_the_models_positions_are_refused(model_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(repository_with(tmp_path, model_folder, "finance_classification", topics, {"length": 161}))
    with pytest.raises(UserError, match="161 tokens, but the model has only 160 positions"):
        finetune.run("finance_classification", "base")


def test_a_stopped_one_goes_on_and_one_with_other_settings_does_not(model_folder, tmp_path, monkeypatch, capsys):
    """The second seed is stopped by an error; DAPT_STATE holds the first one's state until all is done."""
    task, state = "finance_classification", tmp_path / "state"
    metrics = tmp_path / f"metrics/tasks/{task}/base.json"
    monkeypatch.setenv("DAPT_STATE", str(state))
    monkeypatch.chdir(repository_with(tmp_path, model_folder, task, topics, {"epochs": 2, "lr": 3e-3}))
    monkeypatch.setattr(finetuning, "side_by_side", lambda work, seeds, processes: [work(seed) for seed in seeds])
    finetune.run(task, "base")
    whole = metrics.read_bytes()

    def stopped_in_the_second_seed():
        metrics.unlink()
        trained = finetuning.train

        def train(tuner, sides, of, seed, *rest):
            if seed == 1:
                raise UserError("stopped")
            return trained(tuner, sides, of, seed, *rest)

        with monkeypatch.context() as changed, pytest.raises(UserError, match="stopped"):
            changed.setattr(finetuning, "train", train)
            finetune.run(task, "base")
        assert not metrics.exists() and len(list(state.iterdir())) == 1

    stopped_in_the_second_seed()
    capsys.readouterr()
    finetune.run(task, "base")
    said = capsys.readouterr().out
    assert "seed 0: already finished" in said and "seed 1, epoch 2" in said and metrics.read_bytes() == whole
    assert not list(state.iterdir())

    stopped_in_the_second_seed()
    capsys.readouterr()
    change(tmp_path, {f"tasks.{task}.lr": 1e-3})
    finetune.run(task, "base")
    said = capsys.readouterr().out
    assert f"not resumed: seed-0, step-2 in {state}" in said and f"because of a difference in tasks.{task}.lr" in said
    assert "already finished" not in said and "seed 0, epoch 1" in said
