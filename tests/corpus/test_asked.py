"""What a table's rows ask for a task, through the cleaner `text`."""

import pytest

from dapt.corpus.asked import SIDES
from dapt.telling.errors import UserError
from sources import cleaned, lines, written


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.jsonl"])
def test_texts_with_labels_and_sides(tmp_path, name):
    table = [
        {"body": "good news", "mood": "up", "part": "train"},
        {"body": "bad news", "mood": "down", "part": "Dev"},
        {"body": "no news", "mood": None, "part": "test"},
        {"body": "old news", "mood": "up", "part": None},
    ]
    options = {"column": "body", "label": "mood", "split": "part", "least": 1}
    report, found = cleaned(tmp_path, "text", written(tmp_path / name, table), **options)
    assert [(row["text"], row["label"], row.get("split")) for row in found] == [
        ("good news", "up", "train"),
        ("bad news", "down", "valid"),
        ("old news", "up", None),
    ]
    assert report["dropped"] == {"no label": 1}


def test_labels_of_any_type_are_one_name_each(tmp_path):
    table = [{"text": f"text {number}", "label": value} for number, value in enumerate((1, 1.0, "1", True, " b "))]
    found = cleaned(tmp_path, "text", lines(tmp_path / "x.jsonl", table), label="label", least=1)[1]
    assert [row["label"] for row in found] == ["1", "1", "1", "True", "b"]


@pytest.mark.parametrize(
    "answers, first, places",
    [
        (("red", "green", "blue"), -1, [0, 1, 2]),
        (("A", "b", "C"), -1, [0, 1, 2]),
        ((0, "1", 2.0), 0, [0, 1, 2]),
        ((1, "2", 3.0), 1, [0, 1, 2]),
        ((2, None, ""), 1, [1]),
        (("red", None, "C"), -1, [0, 2]),
    ],
)
def test_the_right_option_is_called_by_its_text_a_letter_or_a_number(tmp_path, answers, first, places):
    table = [
        {"q": f"which is {number}?", "a": "red", "b": "green", "c": "blue", "right": answer}
        for number, answer in enumerate(answers)
    ]
    options = {"question": "q", "options": "a,b,c", "answer": "right", "first": first, "least": 1}
    report, found = cleaned(tmp_path, "text", lines(tmp_path / "x.jsonl", table), **options)
    assert [row["answer"] for row in found] == places and report["rows_in"] == 3
    assert all(row["options"] == ["red", "green", "blue"] for row in found)
    assert len({row["group"] for row in found}) == len(places) and found[0]["text"].endswith("? red green blue")


def test_options_may_be_a_list_and_of_different_number(tmp_path):
    table = [
        {"q": "a?", "o": ["1", "2"], "right": "b"},
        {"q": "b?", "o": '["x", "y", "z", ""]', "right": "z"},
        {"q": "c?", "o": ["only"], "right": "only"},
        {"q": "d?", "o": ["x", None, "z"], "right": "x"},
        {"q": "e?", "o": "not a list", "right": "a"},
    ]
    options = {"question": "q", "options": "o", "answer": "right", "least": 1}
    report, found = cleaned(tmp_path, "text", lines(tmp_path / "x.jsonl", table), **options)
    assert [(row["options"], row["answer"]) for row in found] == [(["1", "2"], 1), (["x", "y", "z"], 2)]
    assert report["dropped"] == {"no options": 3}


def test_rows_of_one_question_are_one_group_unless_a_column_says_which_are(tmp_path):
    table = [{"q": "what is it?", "a": "a bond", "by": "x"}, {"q": "What is it?", "a": "a loan", "by": "y"}]
    table += [{"q": "who?", "a": "", "by": "y"}, {"q": None, "a": "nobody", "by": "y"}]
    path = lines(tmp_path / "x.jsonl", table)
    report, found = cleaned(tmp_path, "text", path, question="q", answer="a", least=1)
    assert [(row["question"], row["answer"]) for row in found] == [("what is it?", "a bond"), ("What is it?", "a loan")]
    assert len({row["group"] for row in found}) == 1 and report["dropped"] == {"no answer": 1, "not text": 1}
    found = cleaned(tmp_path, "text", path, question="q", answer="a", group="by", least=1)[1]
    assert [row["group"] for row in found] == ["text:x", "text:y"]


@pytest.mark.parametrize(
    "row, options, message",
    [
        ({"text": "a", "part": "heldout"}, {"split": "part"}, "x.jsonl row 1: unknown side 'heldout'; .* must contain train,"),
        ({"q": "a", "a": "x", "b": "y", "r": 1}, {}, "row 1: the answer '1' is neither one of the options nor a letter"),
        ({"q": "a", "a": "x", "b": "y", "r": "AB"}, {}, "the answer 'AB' is neither one of the options nor a letter"),
        ({"q": "a", "a": "x", "b": "y", "r": 0}, {"first": 1}, "the answer is '0', but the options are numbered from 1 to 2"),
        ({"q": "a", "a": "x", "b": "y", "r": "x"}, {"first": 0}, "the answer is 'x', but the options are numbered from 0 to 1"),
    ],
)  # fmt: skip
def test_what_a_row_cannot_mean_is_refused_with_its_place(tmp_path, row, options, message):
    if "q" in row:
        options = options | {"question": "q", "options": "a,b", "answer": "r"}
    with pytest.raises(UserError, match=message):
        cleaned(tmp_path, "text", lines(tmp_path / "x.jsonl", [row]), **options)


def test_a_text_file_has_no_labels(tmp_path):
    (tmp_path / "x.txt").write_text("a line\n")
    with pytest.raises(UserError, match="x.txt: a .txt file has no columns; provide the rows of a task as a table"):
        cleaned(tmp_path, "text", tmp_path / "x.txt", label="label")


def test_sides_are_those_of_a_split():
    assert set(SIDES.values()) == {"train", "valid", "test"}


def test_an_answer_that_stands_twice_among_the_options_is_none(tmp_path):
    table = [{"q": "a?", "o": ["yes", "yes", "no"], "right": "yes"}, {"q": "b?", "o": ["yes", "no"], "right": "yes"}]
    options = {"question": "q", "options": "o", "answer": "right", "least": 1}
    report, found = cleaned(tmp_path, "text", lines(tmp_path / "x.jsonl", table), **options)
    assert [row["question"] for row in found] == ["b?"] and report["dropped"] == {"no answer": 1}


def test_without_a_column_of_sides_the_names_of_files_say_them(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    for name, text in (("train", "a"), ("validation-00000", "b"), ("test", "c"), ("more", "d")):
        lines(folder / f"{name}.jsonl", [{"text": text, "label": "x", "part": "train"}])
    found = cleaned(tmp_path, "text", folder, label="label", least=1)[1]
    assert {row["text"]: row.get("split") for row in found} == {"a": "train", "b": "valid", "c": "test", "d": None}
    found = cleaned(tmp_path, "text", folder, label="label", split="part", least=1)[1]
    assert {row["split"] for row in found} == {"train"}
    assert not any("split" in row for row in cleaned(tmp_path, "text", folder, least=1)[1])  # text alone has no sides
