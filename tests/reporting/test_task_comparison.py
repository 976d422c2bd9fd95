"""The tasks' part of the comparison, on predictions whose differences are known."""

import numpy as np
import pytest

from dapt.core.files import write_lines
from dapt.judging.statistics import holm, paired, resampled
from dapt.reporting import task_comparison
from dapt.tasks import kinds
from dapt.telling.errors import UserError

SHARE = {"base": 0.60, "biomed": 0.75, "finance": 0.60, "majority": 0.2, "tfidf": 0.7}  # of rows that are right
FINETUNED = ["base", "biomed", "finance"]


def lines(share: float, seed: int, rows: int = 600) -> list[dict]:
    """Rows in groups of two, right with a share that depends on the row too, as hard rows are hard for all."""
    hard, rng = np.random.default_rng(0).uniform(-0.3, 0.3, rows), np.random.default_rng(seed)
    found = []
    for number in range(rows):
        right = rng.uniform(size=2) < share + hard[number]
        found.append(
            {
                "id": f"{number}",
                "group": f"g{number // 2}",
                "right": "a",
                "value": right.astype(float).tolist(),
                "predicted": ["a" if seed else "b" for seed in right],
                "confidence": [0.9, 0.6],
            }
        )
    return found


@pytest.fixture()
def judged():
    of = {name: lines(share, number + 1) for number, (name, share) in enumerate(SHARE.items())}
    return {task: task_comparison.judged(of) for task in ("one", "two")}


@pytest.fixture()
def figures(judged):
    return {
        task: {
            name: {
                "metric": "accuracy",
                "mean": round(float(found.values[number].mean()), 4),
                "sd": 0.0,
                "ci95": [0, 1],
                "others": {},
            }
            for number, name in enumerate(found.models)
        }
        for task, found in judged.items()
    }


def test_a_gain_is_the_paired_difference_to_the_base(judged, figures):
    table, _ = task_comparison.compare_tasks(judged, figures, FINETUNED, 2000, 0)
    biomed = table["one"]["biomed"]["vs_base"]
    assert biomed["diff"] == pytest.approx(figures["one"]["biomed"]["mean"] - figures["one"]["base"]["mean"], abs=2e-4)
    assert biomed["ci95"][0] < 0.15 < biomed["ci95"][1] and biomed["p_adjusted"] < 0.01
    assert table["one"]["finance"]["vs_base"]["p_adjusted"] > 0.05
    assert "vs_base" not in table["one"]["base"] and "vs_base" not in table["one"]["tfidf"]


def test_p_is_adjusted_for_all_cells_of_the_table(judged, figures):
    table, _ = task_comparison.compare_tasks(judged, figures, FINETUNED, 2000, 0)
    single = []
    for number, found in enumerate(judged.values()):
        sums = found.values.reshape(len(found.models), -1, 2).sum(2)  # groups are pairs of neighbours
        by_name = np.argsort(sorted(range(300), key=lambda group: f"g{group}"))  # in what order the names come
        drawn = resampled(sums[:, np.argsort(by_name)], np.full(300, 2.0), 2000, number)
        single += [paired(drawn[place], drawn[0])["p"] for place in (1, 2)]
    found = [table[task][name]["vs_base"]["p_adjusted"] for task in judged for name in ("biomed", "finance")]
    assert found == pytest.approx(holm(single), abs=1e-4)


def test_each_model_is_held_against_the_best_that_costs_nothing(judged, figures):
    table, _ = task_comparison.compare_tasks(judged, figures, FINETUNED, 500, 0)
    for name in FINETUNED:
        pair = table["two"][name]["vs_free"]
        assert pair["name"] == "tfidf" and (pair["diff"] > 0) == (name == "biomed")


def test_the_best_that_costs_nothing_may_be_a_variant_and_its_p_is_adjusted_too(figures):
    of = {name: lines(share, number + 1) for number, (name, share) in enumerate(SHARE.items())}
    for row, better in zip(of["tfidf"], lines(0.9, 9)):
        row["variants"] = {"tfidf_plain": float(np.mean(better["value"]))}
    found = task_comparison.judged(of)
    assert found.models == [*SHARE, "tfidf_plain"] and found.values[-1].mean() > 0.85
    figures["one"]["tfidf_plain"] = figures["one"]["tfidf"] | {"mean": float(found.values[-1].mean())}
    table, _ = task_comparison.compare_tasks({"one": found}, figures, FINETUNED, 2000, 0)
    pairs = [table["one"][name]["vs_free"] for name in FINETUNED]
    assert all(pair["name"] == "tfidf_plain" and pair["diff"] < 0 and 0 < pair["p_adjusted"] < 0.01 for pair in pairs)
    assert pairs[0]["p_adjusted"] == pytest.approx(
        3 * 2 / 2001, abs=1e-4
    )  # of three, none of 2,000 resamples on the other side


def test_predictions_on_other_rows_are_refused(tmp_path):
    write_lines(tmp_path / "base.jsonl", lines(0.5, 1))
    write_lines(tmp_path / "biomed.jsonl", lines(0.5, 2)[:-1])
    with pytest.raises(UserError, match="biomed and base were not judged on the same rows"):
        task_comparison.predictions(tmp_path, ["base", "biomed"])


def test_errors_name_what_is_mixed_up_and_the_surest_mistakes():
    of = lines(0.5, 3, rows=40)
    both = task_comparison.mistakes_of({"one": {"base": of, "tfidf": of}}, ["one"], ["base"], {"one": {}})["one"]
    found = both["base"]
    assert found["calibration_error"] > 0 and both["tfidf"]["calibration_error"] is None
    wrong = sum(name == "b" for row in of for name in row["predicted"])
    assert found["confused"] == [{"right": "a", "predicted": "b", "times": wrong}]
    twice = {row["id"] for row in of if row["predicted"] == ["b", "b"]}
    assert {row["id"] for row in found["worst"]} <= twice and len(found["worst"]) == task_comparison.SHOWN
    assert not any("text" in row for row in found["worst"])
    shown = {found["worst"][0]["id"]: {"text": "x" * 301}}
    in_words = task_comparison.mistakes_of({"one": {"base": of}}, ["one"], ["base"], {"one": shown})["one"]["base"]
    assert in_words["worst"][0] == found["worst"][0] | {
        "text": "x" * 300 + "…",
        "right_text": "a",
        "predicted_text": "b",
    }
    assert in_words["worst"][1:] == found["worst"][1:]


def test_only_classes_are_mixed_up():
    assert not task_comparison.mistakes_of({"one": {"base": lines(0.5, 3, rows=40)}}, [], [], {"one": {}})["one"][
        "base"
    ]["confused"]
    with_classes = {name for name in kinds.names() if "macro_f1" in kinds.kind(name).METRICS}
    row = {"label": "a", "question": "q", "answer": 0, "options": ["a", "b"]}
    assert with_classes == {name for name in kinds.names() if kinds.kind(name).classes([row])} == {"classification"}
