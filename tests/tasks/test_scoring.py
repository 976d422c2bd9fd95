"""The sides of a task: filled up, limited, without leaks."""

import pytest

from dapt.core import config
from dapt.core.files import read_lines, write_lines
from dapt.tasks import scoring
from dapt.telling.errors import UserError
from toys import repository_with, topics


def test_validation_is_filled_up_by_whole_groups_and_the_limit_is_kept():
    train, valid, test = topics(100, 0), topics(5, 1), topics(10, 2)
    found = scoring.sides(train, valid, test, most=30, least=20)
    assert len(found.train) == 30 and 20 <= len(found.valid) <= 21 and len(found.all_train) + len(found.valid) == 105
    assert not {row["group"] for row in found.all_train} & {row["group"] for row in found.valid}
    assert {row["id"] for row in found.train} <= {row["id"] for row in found.all_train}
    assert scoring.sides(train, valid, test, None, 0).train == train


def test_a_test_row_that_is_trained_on_is_refused(model_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(repository_with(tmp_path, model_folder, "finance_classification", topics, {}))
    leak = list(read_lines(tmp_path / "data/split/tasks/finance_classification/train.jsonl"))[7]
    write_lines(tmp_path / "data/split/tasks/finance_classification/test.jsonl", [*topics(10, 2), leak])
    with pytest.raises(UserError, match=f"1 test rows are also training rows.*{leak['id']}"):
        scoring.read("finance_classification", config.load().active_tasks["finance_classification"], 10)


def grouped(sizes: dict[str, int], **more: str) -> list[dict]:
    """Rows of groups of these sizes."""
    return [
        {"id": f"{group}-{number}", "group": group, "label": "x"} | more
        for group, size in sizes.items()
        for number in range(size)
    ]


def test_one_large_group_does_not_swallow_the_validation_rows():
    small = {f"g{number}": 3 for number in range(100)}
    for train, valid in ((grouped({"large": 740} | small), []), (grouped(small), grouped({"large": 740}))):
        found = scoring.sides(train, valid, [], None, least=200)
        assert 200 <= len(found.valid) <= 202 and found.left_out == 0
        assert "large" not in {row["group"] for row in found.valid}
        assert len(found.all_train) == 1040 - len(found.valid)


def test_a_validation_side_of_the_source_stays_as_it_is():
    valid = grouped({"large": 740}, split="valid")
    found = scoring.sides(grouped({"a": 50, "b": 50}), valid, [], None, least=200)
    assert found.valid == valid and len(found.all_train) == 100


def test_where_all_groups_are_large_the_smallest_is_taken_as_far_as_it_is_needed():
    found = scoring.sides(grouped({"a": 300, "b": 200, "c": 900}), [], [], None, least=100)
    assert {row["group"] for row in found.valid} == {"b"} and {row["group"] for row in found.all_train} == {"a", "c"}
    assert (len(found.valid), found.left_out, found.rows()["left_out"]) == (100, 100, 100)


def test_sides_whose_labels_lie_far_apart_are_said(capsys):
    rows = {label: [{"label": label}] * 10 for label in "ab"}
    near = scoring.Sides(rows["a"] + rows["b"], [], rows["a"] + rows["b"], rows["a"] + rows["b"] * 2)
    assert scoring.labels_by_side("T", near)["label_distance"] == {"valid": 0.0, "test": 0.1667}
    assert not capsys.readouterr().err
    far = scoring.labels_by_side("T", scoring.Sides(rows["a"] + rows["b"], [], rows["a"], rows["a"] + rows["b"]))
    assert far["labels"]["valid"] == {"a": 10} and far["label_distance"]["valid"] == 0.5
    assert (
        "T: the label distribution of its valid rows differs from that of its training rows (total variation 0.50)"
        in (capsys.readouterr().err)
    )
