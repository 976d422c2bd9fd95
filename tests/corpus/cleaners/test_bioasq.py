"""BioASQ in both of its layouts."""

import pytest

from dapt.telling.errors import UserError
from sources import LONG, cleaned, lines, squad


def test_bioasq_in_the_layout_that_the_seed_had(tmp_path):
    lines(tmp_path / "x.json", [squad(f"{LONG}1", f"{LONG}1\n", f"{LONG}2", 5, "short") | {"version": "x"}])
    report, found = cleaned(tmp_path, "bioasq", tmp_path / "x.json")
    assert [row["text"] for row in found] == [f"{LONG}1", f"{LONG}2"] and len({row["group"] for row in found}) == 2
    assert report["dropped"] == {"duplicate": 1, "not text": 1, "too short": 1} and report["original_rule"]["kept"] == 2


def test_bioasq_in_the_challenges_layout(tmp_path):
    snippets = [{"text": f"{LONG}{number}", "document": f"http://pubmed/{number // 2}"} for number in range(3)]
    questions = [
        {
            "id": "q1",
            "body": "?",
            "type": "yesno",
            "snippets": snippets[:2],
            "ideal_answer": [f"{LONG}yes", f"{LONG}no"],
        },
        {"id": "q2", "_body": "?", "snippets": snippets[2:], "ideal_answer": f"{LONG}plain"},
    ]
    path = lines(tmp_path / "x.json", [{"questions": questions}])
    report, found = cleaned(tmp_path, "bioasq", path)
    assert report["rows_in"] == 3 and report["original_rule"]["kept"] == 0
    assert [row["group"] for row in found] == [f"bioasq:http://pubmed/{number}" for number in (0, 0, 1)]
    report, found = cleaned(tmp_path, "bioasq", path, answers=True)
    assert report["rows_in"] == 6
    assert {row["text"]: row["group"] for row in found if "pubmed" not in row["group"]} == {
        f"{LONG}yes": "bioasq:q1",
        f"{LONG}no": "bioasq:q1",
        f"{LONG}plain": "bioasq:q2",
    }


@pytest.mark.parametrize(
    "value, dropped",
    [
        ({"data": [None, 7, {"paragraphs": 3}, {"paragraphs": [[], {"context": None}]}]}, 5),
        ({"data": "x"}, 1),
        ({"questions": [None, {"snippets": [None, {"text": 5}]}, {"snippets": {"text": "x"}}]}, 4),
    ],
)
def test_bioasq_nonsense_is_counted(tmp_path, value, dropped):
    good = lines(tmp_path / "good.json", [squad(f"{LONG}1")])
    report, _ = cleaned(tmp_path, "bioasq", good, lines(tmp_path / "x.json", [value]))
    assert report["dropped"] == {"not text": dropped}


@pytest.mark.parametrize("value", [[], {}, 5, "data", {"paragraphs": []}])
def test_bioasq_in_neither_layout_is_refused(tmp_path, value):
    with pytest.raises(UserError, match="x.json is in neither of BioASQ's layouts"):
        cleaned(tmp_path, "bioasq", lines(tmp_path / "x.json", [value]))
