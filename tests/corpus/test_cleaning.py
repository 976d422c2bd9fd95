"""The common part of cleaning, whatever the source."""

import zipfile

import pytest

from dapt.core.files import read_lines
from dapt.core.rows import text_id
from dapt.corpus.cleaning import Report, clean, rows
from dapt.corpus.records import Record
from dapt.telling.errors import UserError

LONG = "a text that is longer than thirty characters, as number "


def test_every_row_is_kept_or_dropped_with_a_reason():
    records = [
        Record(LONG + "1", "g:1"),
        Record(LONG.upper() + "1", "g:2"),
        Record("short", "g:3"),
        Record(" \u200b ", "g:4"),
        Record(LONG + "2 &amp; more", "g:5", label="L", split="test", fields={"options": ["a &lt; b"], "answer": 0}),
        Record(LONG + "3", "g:6", drop="because"),
    ]
    report = Report()
    found = list(rows(records, "x", 30, set(), report))
    assert report.as_dict() | {} == {
        "rows_in": 6,
        "kept": 2,
        "repaired": {"unicode": 1},
        "dropped": {"because": 1, "duplicate": 1, "empty": 1, "too short": 1},
    } | {key: value for key, value in report.as_dict().items() if key == "original_rule"}
    assert found[0] == {"id": text_id(LONG + "1"), "group": "g:1", "text": LONG + "1", "corpus": "x"}
    assert found[1]["text"] == LONG + "2 & more" and found[1]["options"] == ["a < b"] and found[1]["split"] == "test"


def test_of_two_equal_texts_the_labelled_one_stays_whichever_source_comes_first(tmp_path):
    head = "Category\tText\nd\tstring\nclass\t\n"
    same = "champion products approves a stock split of its common shares"
    (tmp_path / "r.tab").write_text(f"{head}earn\t{same} reuter\n")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", f'source_id,text\na-1,{same}\na-2,"{LONG}"\n')
    clean("x", [("tweets", [tmp_path / "t.zip"], {}), ("reuters", [tmp_path / "r.tab"], {})], tmp_path / "out.jsonl")
    found = {row["text"]: row.get("label") for row in read_lines(tmp_path / "out.jsonl")}
    assert found == {same: "earn", LONG.strip(): None}


def test_a_corpus_without_a_row_is_refused_and_leaves_no_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", "source_id,text\n")
    with pytest.raises(UserError, match="no row of x"):
        clean("x", [("tweets", [tmp_path / "t.zip"], {})], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
