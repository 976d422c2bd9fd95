import json
import re

import numpy as np
import pytest

from dapt.core.files import read_json, write_lines
from dapt.reporting.comparison import check_tokenizers, choose, compare, losses_by_group, ranked
from dapt.reporting.plots import read_csv
from dapt.reporting.tables import crossdomain, differences, table, told
from dapt.reporting.tables import of_tasks as of_tasks_lines
from dapt.reporting.task_comparison import TaskPredictions
from dapt.reporting.task_sections import free, gains
from dapt.telling.errors import UserError
from repositories import committed_params

PARAMS = committed_params()


BETTER = {"base": 0.0, "biomed": -1.0, "finance": -0.5, "biomed_finance": -1.5, "general": -0.2}


@pytest.fixture()
def judged(tmp_path):
    """Losses of five models, each better than the base by a known amount and some noise."""
    rng = np.random.default_rng(0)
    masked = rng.integers(5, 50, 300)
    common = rng.normal(6, 1, 300)
    for model, gain in BETTER.items():
        write_lines(
            tmp_path / f"{model}.jsonl",
            (
                {
                    "set": held_out,
                    "group": f"g:{number}",
                    "loss": float((common[number] + gain + rng.normal(0, 0.1)) * masked[number]),
                    "masked": int(masked[number]),
                    "correct": 0,
                }
                for held_out in PARAMS.heldout
                for number in range(300)
            ),
        )
    return tmp_path


def evaluated(losses) -> dict:
    return {
        name: {
            held_out: {
                "loss": float(losses[held_out][0][number].sum() / losses[held_out][1].sum()),
                "loss_ci95": [0.0, 9.0],
                "perplexity": 1.0,
                "accuracy": 0.5,
                "accuracy_top5": 0.7,
            }
            for held_out in PARAMS.heldout
        }
        for number, name in enumerate(PARAMS.models)
    }


def tasks() -> tuple[dict, dict]:
    """Every task: finance is the best of the models."""
    names = [*PARAMS.finetuned, "majority"]
    values = np.random.default_rng(2).uniform(size=(len(names), 200))
    values[names.index("finance")] += 1
    figures = {
        name: {"metric": "accuracy", "mean": float(values[number].mean()), "sd": 0.01, "ci95": [0, 1], "others": {}}
        for number, name in enumerate(names)
    }
    return (
        {task: TaskPredictions(names, values, [str(number) for number in range(200)]) for task in PARAMS.tasks},
        {task: figures for task in PARAMS.tasks},
    )


def test_differences_are_paired_and_negative_where_better(judged):
    losses = losses_by_group(PARAMS.models, judged)
    found = compare(PARAMS, losses, evaluated(losses), *tasks())
    for model, gain in BETTER.items():
        for held_out in PARAMS.heldout:
            cell = found["matrix"][model][held_out]
            assert ("vs_base" in cell, "vs_control" in cell) == (model != "base", model != "general")
            if model == "base":
                continue
            low, high = cell["vs_base"]["ci95"]
            assert low < gain < high and low < cell["vs_base"]["diff"] < high
            assert high - low < 0.1  # the common part, which spreads ten times as much, cancels
    assert found["choice"]["model"] == "biomed_finance" and found["choice"]["significant"]


def test_the_choice_says_when_it_is_not_significant():
    rng = np.random.default_rng(1)
    near = np.stack([rng.normal(3.0, 0.2, 500), rng.normal(3.01, 0.2, 500)])
    far = np.stack([rng.normal(5.0, 0.01, 500), rng.normal(4.0, 0.01, 500)])
    found = choose("loss on a", ranked(["x", "y"], np.array([3.0, 3.01]), near), "lowest")
    assert found["model"] == "x" and not found["significant"] and found["why"].endswith(", not significant")
    assert found["rule"] == "lowest loss on a"
    lowest = choose("loss on b", ranked(["x", "y"], np.array([5.0, 4.0]), far), "lowest")
    highest = choose("accuracy on b", ranked(["x", "y"], np.array([5.0, 4.0]), far, highest=True), "highest")
    assert (lowest["model"], highest["model"]) == ("y", "x") and lowest["significant"] and highest["significant"]


def test_all_models_are_ranked_by_each_figure_with_their_gap_to_the_best(judged):
    losses = losses_by_group(PARAMS.models, judged)
    best = compare(PARAMS, losses, evaluated(losses), *tasks())["best"]
    assert list(best) == [
        "mean loss over biomed, finance, general",
        "loss on biomed",
        "loss on finance",
        "loss on general",
        "mean loss over biomed, finance",  # biomed_finance's own
        *(f"accuracy on {task}" for task in PARAMS.tasks),
    ]
    for figure in list(best)[:5]:
        assert [one["model"] for one in best[figure]] == sorted(BETTER, key=BETTER.get)
        for one in best[figure][1:]:
            assert one["gap"]["diff"] == pytest.approx(BETTER["biomed_finance"] - BETTER[one["model"]], abs=0.05)
            assert one["significant"]
    assert "gap" not in best["loss on biomed"][0]
    each = [{one["model"]: one["value"] for one in best[f"loss on {name}"]} for name in ("biomed", "finance")]
    for one in best["mean loss over biomed, finance"]:
        assert one["value"] == pytest.approx((each[0][one["model"]] + each[1][one["model"]]) / 2, abs=1e-4)
    for task in PARAMS.tasks:
        assert sorted(one["model"] for one in best[f"accuracy on {task}"]) == sorted(PARAMS.finetuned)
        assert (
            best[f"accuracy on {task}"][0]["model"] == "finance" and best[f"accuracy on {task}"][1]["gap"]["diff"] > 0.5
        )


@pytest.mark.parametrize("rule, model", [("mean", "biomed_finance"), ("target", "biomed_finance"), ("task", "finance")])
def test_the_choice_follows_its_rule(judged, rule, model):
    losses = losses_by_group(PARAMS.models, judged)
    params = PARAMS.model_copy(
        update={
            "profiles": {
                PARAMS.profile: PARAMS.active.model_copy(
                    update={"compare": PARAMS.active.compare.model_copy(update={"rule": rule})}
                )
            }
        }
    )
    assert compare(params, losses, evaluated(losses), *tasks())["choice"]["model"] == model


def test_models_judged_on_other_masks_are_not_compared(judged):
    lines = (judged / "finance.jsonl").read_text().splitlines()
    (judged / "finance.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UserError, match="same masks"):
        losses_by_group(PARAMS.models, judged)


def test_models_with_other_tokenizers_are_not_compared():
    def made_from(tokenizer):
        hashes = {"model.safetensors": "00", "tokenizer.json": tokenizer}
        made = [{"path": f"models/x/{name}", "sha256": sha256} for name, sha256 in hashes.items()]
        return {"made_from": [*made, {"path": "data/split", "sha256": "11"}]}

    check_tokenizers({"base": made_from("aa"), "biomed": made_from("aa")})
    with pytest.raises(UserError, match="base and finance have different tokenizers"):
        check_tokenizers({"base": made_from("aa"), "biomed": made_from("aa"), "finance": made_from("bb")})


def test_the_table_has_a_row_a_model(judged):
    losses = losses_by_group(PARAMS.models, judged)
    lines = table(compare(PARAMS, losses, evaluated(losses), *tasks())).splitlines()
    assert lines[0] == "| model | biomed | finance | general |" and len(lines) == 2 + len(PARAMS.models)
    assert {line.count("|") for line in lines} == {5}


def test_the_committed_confusion_and_calibration_add_up_to_the_accuracy_of_all_seeds(committed_metrics):
    """By another way: scikit-learn's accuracy of each seed, as metrics/tasks has it."""
    calibration = read_csv(committed_metrics / "calibration.csv")
    tables = {path.stem: read_csv(path) for path in (committed_metrics / "confusion").glob("*.csv")}
    assert tables.keys() == {name for name, task in PARAMS.active_tasks.items() if task.kind == "classification"}
    for task, table in tables.items():
        for name in PARAMS.finetuned:
            figures = read_json(committed_metrics / f"tasks/{task}/{name}.json")
            of = [row for row in table if row["model"] == name]
            bins = [row for row in calibration if (row["task"], row["model"]) == (task, name)]
            total = figures["rows"]["test"] * len(figures["seeds"])
            assert sum(row["count"] for row in of) == sum(row["count"] for row in bins) == total
            hit = sum(row["count"] for row in of if row["right"] == row["predicted"])
            assert hit / total == pytest.approx(figures["mean"], abs=1e-4)
            found = sum(row["count"] * row["accuracy"] for row in bins) / total
            assert found == pytest.approx(figures["mean"], abs=2e-4)


def test_of_a_single_group_no_interval_is_shown_and_nothing_is_significant(tmp_path):
    """One document: differences, and dashes where their intervals would stand."""
    for number, model in enumerate(PARAMS.models):
        rows = [
            {"set": held, "group": "g", "loss": 30.0 - number, "masked": 10, "correct": 0} for held in PARAMS.heldout
        ]
        write_lines(tmp_path / f"{model}.jsonl", rows)
    losses = losses_by_group(PARAMS.models, tmp_path)
    found = evaluated(losses)
    for cells in found.values():
        for cell in cells.values():
            cell["loss_ci95"] = None
    of_tasks, scores = tasks()
    values = {task: TaskPredictions(of.models, of.values[:, :1], ["g"]) for task, of in of_tasks.items()}
    for models in scores.values():
        for figures in models.values():
            figures["ci95"] = None
    compared = json.loads(json.dumps(compare(PARAMS, losses, found, values, scores), allow_nan=False))
    cell = compared["matrix"]["biomed"]["biomed"]
    assert cell["vs_base"] == {"diff": -0.1, "ci95": None} and not compared["choice"]["significant"]
    told_of = told(compared) + gains(compared["tasks"]) + free(compared["tasks"]) + differences(compared, "vs_base")
    assert "-0.100 [–]" in told_of and not re.search(r"\b(nan|None)\b", told_of)
    assert "ignificantly worse than" not in told_of and "a single group" in compared["choice"]["why"]
    lines = [*crossdomain(compared), *of_tasks_lines(compared)]
    assert all(value is not None and value == value for line in lines for value in line)
