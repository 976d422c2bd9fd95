"""Tasks that cannot work: what their rows tell before anything is trained. (What the base tells: tests/stages/test_validate.py.)"""

import pytest

from dapt.core.config import Task
from dapt.tasks.checks import check_sides
from dapt.telling.errors import UserError
from toys import answers, choices, topics

TUNED = {"length": 32, "epochs": 1, "lr": 1e-3}


def task(kind: str) -> Task:
    return Task(corpus="c", fields=["text"], kind=kind, **TUNED)


@pytest.mark.parametrize("kind, rows", [("classification", topics), ("multiple_choice", choices), ("ranking", answers)])
def test_the_toys_can_work(kind, rows):
    check_sides("T", task(kind), rows(40, 0), rows(20, 1))


@pytest.mark.parametrize(
    "kind, train, test, message",
    [
        ("classification", [], topics(9, 1), "task T has 0 training rows and 9 test rows, but needs both"),
        (
            "classification",
            [row | {"label": "fever"} for row in topics(40, 0)],
            [row | {"label": "fever"} for row in topics(20, 1)],
            "task T: 'fever' is the only candidate",
        ),
        (
            "classification",
            topics(40, 0),
            [row | ({"label": "rare"} if number < 4 else {}) for number, row in enumerate(topics(20, 1))],
            "no training row has the label 'rare', which 4 test rows have",
        ),
        (
            "multiple_choice",
            choices(40, 0),
            [row | {"options": ["fever"], "answer": 0} for row in choices(20, 1)],
            "task T: 'option 1' is the only candidate",
        ),
        (
            "ranking",
            answers(40, 0),
            [row | {"answer": "yes"} for row in answers(20, 1)],
            "is the only candidate",
        ),
    ],
)
def test_what_cannot_work_is_refused(kind, train, test, message):
    with pytest.raises(UserError, match=message):
        check_sides("T", task(kind), train, test)


def test_a_label_of_the_training_rows_alone_is_no_reason():
    """It can be learned; that no test row has it changes no other row's figure."""
    rows = [row | ({"label": "rare"} if number < 4 else {}) for number, row in enumerate(topics(40, 0))]
    check_sides("T", task("classification"), rows, topics(20, 1))
