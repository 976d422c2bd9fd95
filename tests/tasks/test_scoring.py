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
