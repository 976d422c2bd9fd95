"""MedMCQA: from the hub and in its raw form."""

import json

import pytest

from dapt.corpus.cleaners import medmcqa as reader
from dapt.telling.errors import UserError
from sources import LONG, cleaned, lines, medmcqa, real, written


def test_medmcqa_as_it_was_published(tmp_path):
    path = real("medmcqa/dev.json")
    report, found = cleaned(tmp_path, "medmcqa", path)
    raw = [json.loads(line) for line in path.read_text().splitlines()]
    assert report["rows_in"] == len(raw) == 4183
    texts = {" ".join(f"{row['question']} {row['exp'] or ''}".split()) for row in raw}
    assert report["original_rule"]["kept"] == sum(len(text) >= 50 for text in texts)
    right = {row["question"]: row[("opa", "opb", "opc", "opd")[row["cop"] - 1]] for row in raw}
    same = [row for row in found if right.get(row["question"]) in row["options"]]
    assert len(same) > 3000 and all(row["options"][row["answer"]] == right[row["question"]] for row in same)
    assert {row["split"] for row in found} == {"test"}
    assert {row["label"] for row in found} <= {row["subject_name"] for row in raw}


@pytest.mark.parametrize(
    "name, numbers, answers",
    [
        ("train.json", [1, 2, 4], [0, 1, 3]),
        ("train.parquet", [0, 1, 3], [0, 1, 3]),
        ("train.parquet", [1, 2], [1, 2]),
        ("train.json", [2, 3], [1, 2]),
        ("train.json", [4, None, -1, "", 5, "e", "2", 2.0, "3.0", "b", "D"], [3, *[None] * 5, 1, 1, 2, 1, 3]),
    ],
)
def test_medmcqa_options_are_numbered_by_the_format(tmp_path, name, numbers, answers):
    raw = [medmcqa(place, cop=number) for place, number in enumerate(numbers)]
    path = written(tmp_path / name, raw) if name.endswith("parquet") else lines(tmp_path / name, raw)
    assert [row.get("answer") for row in cleaned(tmp_path, "medmcqa", path)[1]] == answers


@pytest.mark.parametrize("name, number", [("train.json", 0), ("train.parquet", 4)])
def test_a_number_that_the_numbering_does_not_have_is_refused(tmp_path, name, number):
    """One read by the wrong numbering would name the neighbour of the right option, in silence."""
    raw = [medmcqa(1, cop=1), medmcqa(2, cop=number)]
    path = written(tmp_path / name, raw) if name.endswith("parquet") else lines(tmp_path / name, raw)
    with pytest.raises(UserError, match="row 2: the right option, cop, is .*options: {first: 0}"):
        cleaned(tmp_path, "medmcqa", path)


@pytest.mark.parametrize("first", [0, 1])
def test_the_numbering_can_be_said(tmp_path, first):
    path = lines(tmp_path / "train.json", [medmcqa(1, cop=first), medmcqa(2, cop=first + 3)])
    assert [record.fields["answer"] for record in reader.read([path], first=first)] == [0, 3]
    with pytest.raises(UserError, match="first is 2, but must be 0 or 1"):
        list(reader.read([path], first=2))


def test_options_may_be_numbers(tmp_path):
    path = lines(tmp_path / "train.json", [medmcqa(1, cop=2, opa=5, opb=10.0, opc="15", opd=2.5)])
    [row] = cleaned(tmp_path, "medmcqa", path)[1]
    assert (row["options"], row["answer"]) == (["5", "10", "15", "2.5"], 1)


def test_medmcqa_sides_and_fields(tmp_path):
    test = [{key: value for key, value in medmcqa(3).items() if key not in ("cop", "exp")}]
    first = medmcqa(1, cop=4, exp="Since <b>it</b> is.", topic_name="Heart")
    files = [
        lines(tmp_path / "train.json", [first, medmcqa(2)]),
        lines(tmp_path / "dev.json", [medmcqa(2, cop=4, subject_name=None, opd=None)]),
        lines(tmp_path / "test.json", test),
    ]
    report, found = cleaned(tmp_path, "medmcqa", *files)
    assert report["rows_in"] == 4 and report["dropped"] == {"duplicate": 1}
    by_question = {row["question"][-2]: row for row in found}
    first, second, third = (by_question[number] for number in "123")
    assert first["text"] == f"{LONG}1? Since it is." and first["explanation"] == "Since it is."
    assert (first["split"], first["answer"], first["topic"], first["subject"]) == ("train", 3, "Heart", "Anatomy")
    assert second["split"] == "test" and second["label"] == "Medical"  # the validation row stays
    assert not {"options", "answer", "subject"} & second.keys()
    assert third["options"] == ["A", "B", "C", "D"] and not {"split", "answer"} & third.keys()


def test_medmcqa_in_the_hubs_test_file_has_no_answers(tmp_path):
    path = written(tmp_path / "test-00000-of-00001.parquet", [medmcqa(1, cop=-1), medmcqa(2, cop=0)])
    found = cleaned(tmp_path, "medmcqa", path)[1]
    assert len(found) == 2 and not any({"split", "answer"} & row.keys() for row in found)


def test_medmcqa_without_answers_where_they_belong_is_refused(tmp_path):
    renamed = [{("right" if key == "cop" else key): value for key, value in medmcqa(1).items()}]
    with pytest.raises(UserError, match="train.json has no column cop"):
        cleaned(tmp_path, "medmcqa", lines(tmp_path / "train.json", renamed))
