"""Rows that are right pass, each kind of wrong row is refused with its line, and the figures are those of a count."""

import json

import numpy as np
import pytest

from dapt.core.rows import text_id
from dapt.corpus.validation import SAMPLE, problem, spread, validated
from dapt.telling.errors import UserError


def row(text: str, **more) -> dict:
    return {"id": text_id(text), "group": "g:1", "text": text, "corpus": "x"} | more


@pytest.mark.parametrize(
    "labelled, right",
    [
        (False, row("a text")),
        (True, row("a text", label="good", split="test")),
        (True, row("a text", options=["a", "b"], answer=1)),
        (True, row("a text", options=["a", "b"])),
        (True, row("a text", label="the beginning", answer="the whole answer")),
    ],
)
def test_right_rows_pass(labelled, right):
    assert problem(right, "x", labelled) is None


@pytest.mark.parametrize(
    "labelled, wrong, message",
    [
        (False, row("a text") | {"text": ""}, "text must be"),
        (False, row("a text") | {"group": None}, "group must be"),
        (False, {"id": "0"}, "group must be"),
        (False, row("a text", corpus="y"), "corpus is 'y'"),
        (False, row("a text") | {"id": "0" * 16}, "id is not the hash"),
        (False, row("two  spaces"), "white space"),
        (False, row("a line\nbreak"), "white space"),
        (False, row("no\u00a0break"), "white space"),
        (False, row("a text", split="dev"), "split is 'dev'"),
        (True, row("a text", label=""), "label must be"),
        (True, row("a text", label=3), "label must be"),
        (True, row("a text"), "must have a label, options or an answer"),
        (True, row("a text", options="abcd", answer=1), "options must be"),
        (True, row("a text", options=["a", "b"], answer=2), "answer 2 is not the index of one of the 2 options"),
        (True, row("a text", options=["a", "b"], answer=-1), "answer -1"),
        (True, row("a text", options=["a", "b"], answer=True), "answer True"),
    ],
)
def test_wrong_rows_are_told(labelled, wrong, message):
    assert message in problem(wrong, "x", labelled)


def test_a_wrong_or_repeated_row_is_refused_with_its_line():
    with pytest.raises(UserError, match="x.jsonl line 2: the same text is in an earlier line"):
        validated([row("One text"), row("one TEXT")], "x", False)
    with pytest.raises(UserError, match="x.jsonl line 3: corpus is 'y'"):
        validated([row("one"), row("two"), row("three", corpus="y")], "x", False)


def test_the_figures_are_those_of_a_count():
    rows = [
        row(f"text number {number}" + "\ufffd" * (number < 3), group=f"g:{number % 7}", label=str(number % 4))
        for number in range(3000)
    ]
    figures, sample = validated(rows, "x", True)
    assert (figures["rows"], figures["groups"], figures["lost_characters"]) == (3000, 7, 3)
    assert figures["labels"] == {"different": 4, "rows": 3000, "each": [[str(label), 750] for label in range(4)]}
    assert figures["characters"] == spread([len(row["text"]) for row in rows])
    assert [row["id"] for row in sample] == sorted(row["id"] for row in rows)[:SAMPLE]


def test_the_sample_does_not_hang_on_the_order_of_the_rows():
    rows = [row(f"text number {number}") for number in range(2500)]
    assert validated(rows, "x", False)[1] == validated(rows[::-1], "x", False)[1]


def test_spread_is_numpys():
    numbers = [3, 1, 4, 1, 5, 9, 2, 6]
    assert spread(numbers) == {
        "total": 31,
        "mean": 3.9,
        "median": 3,
        "p95": int(np.percentile(numbers, 95)),
        "longest": 9,
    }
    assert set(spread([]).values()) == {0}
    json.dumps(spread(numbers))
