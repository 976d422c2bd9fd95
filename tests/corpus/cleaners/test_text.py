"""Text of one's own, in every format."""

import gzip
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dapt.corpus.cleaners import text
from dapt.telling.errors import UserError
from sources import LONG, cleaned, lines, written

TEXTS = [f"{LONG}{number}" for number in range(4)]


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", ["law.txt", "law.csv", "law.tsv", "law.json", "law.jsonl", "law.parquet"])
def test_a_users_own_text_in_any_format(tmp_path, name, packing):
    path = tmp_path / (name + packing)
    if name == "law.txt":
        data = "\r\n".join(TEXTS).encode("utf-8-sig")
        path.write_bytes(
            {".gz": lambda: gzip.compress(data), ".zst": lambda: pa.compress(data, codec="zstd", asbytes=True)}.get(
                packing, lambda: data
            )()
        )
        options = {}
    else:
        written(path, [{"id": "a", "body": text} for text in TEXTS])
        options = {"column": "body"}
    report, found = cleaned(tmp_path, "text", path, **options)
    assert [row["text"] for row in found] == TEXTS and report["rows_in"] == 4
    assert [row["group"] for row in found] == [f"text:{path.name}:{number}" for number in range(1, 5)]


def test_a_users_own_text_may_name_its_groups_and_its_documents(tmp_path):
    cases = ["a", 7, None, ""]
    path = written(tmp_path / "x.jsonl", [{"text": text, "case": case} for text, case in zip(TEXTS, cases)])
    found = cleaned(tmp_path, "text", path, group="case")[1]
    assert [row["group"] for row in found] == ["text:a", "text:7", "text:x.jsonl:3", "text:x.jsonl:4"]
    (tmp_path / "x.txt").write_text("\n".join(TEXTS))
    assert [row["text"] for row in cleaned(tmp_path, "text", tmp_path / "x.txt", whole=True)[1]] == [" ".join(TEXTS)]
    with pytest.raises(UserError, match="option whole is for .txt"):
        cleaned(tmp_path, "text", path, whole=True)
    with pytest.raises(UserError, match="no column case"):
        cleaned(tmp_path, "text", lines(tmp_path / "y.jsonl", [{"text": LONG}]), group="case")


def test_a_users_own_folder(tmp_path, capsys):
    folder = tmp_path / "own"
    (folder / "b").mkdir(parents=True)
    (folder / "b/x.txt").write_text(TEXTS[0])
    (folder / "a.txt").write_text(TEXTS[1])
    (folder / ".hidden").write_text("not a text")
    written(folder / "c.csv", [{"text": TEXTS[2]}])
    found = cleaned(tmp_path, "text", folder)[1]
    assert [(row["group"], row["text"]) for row in found] == [
        ("text:a.txt:1", TEXTS[1]),
        ("text:b/x.txt:1", TEXTS[0]),
        ("text:c.csv:1", TEXTS[2]),
    ]
    (folder / "notes.docx").write_text("x")
    assert len(cleaned(tmp_path, "text", folder)[1]) == 3
    assert "own: 1 of 4 files have no known text format and are left out: notes.docx" in capsys.readouterr().err
    with pytest.raises(UserError, match="notes.docx: unknown file ending .docx"):
        cleaned(tmp_path, "text", folder / "notes.docx")


def test_files_and_folders_of_one_name_are_not_one_group(tmp_path):
    for name in ("train/0000.jsonl", "test/0000.jsonl"):
        (tmp_path / name).parent.mkdir()
        lines(tmp_path / name, [{"text": LONG + name}])
    files = [tmp_path / name for name in ("train/0000.jsonl", "test/0000.jsonl")]
    assert [record.group for record in text.read(files)] == ["text:train/0000.jsonl:1", "text:test/0000.jsonl:1"]
    folders = [tmp_path / name for name in ("train", "test")]
    assert [record.group for record in text.read(folders)] == ["text:train/0000.jsonl:1", "text:test/0000.jsonl:1"]


def test_a_group_of_any_scalar_type_and_a_missing_one_is_counted(tmp_path):
    """As pandas writes whole numbers beside a missing one; and types that only Parquet has."""
    cases = [0.0, 0.0, 1.0, None, None]
    path = tmp_path / "notes.jsonl"
    lines(path, [{"text": f"{LONG}{number}", "case": case} for number, case in enumerate(cases)])
    report, found = cleaned(tmp_path, "text", path, group="case")
    assert [row["group"] for row in found] == ["text:0", "text:0", "text:1", "text:notes.jsonl:4", "text:notes.jsonl:5"]
    assert report["repaired"]["no group"] == 2
    days = [date(2026, 1, 1), date(2026, 1, 1), date(2026, 1, 2), None]
    table = {"text": TEXTS, "case": days, "nested": [[1], [1], [1], [1]]}
    pq.write_table(pa.table(table), tmp_path / "days.parquet")
    found = cleaned(tmp_path, "text", tmp_path / "days.parquet", group="case")[1]
    assert [row["group"] for row in found] == [
        "text:2026-01-01",
        "text:2026-01-01",
        "text:2026-01-02",
        "text:days.parquet:4",
    ]
    assert cleaned(tmp_path, "text", tmp_path / "days.parquet", group="nested")[0]["repaired"]["no group"] == 4


def test_the_shortest_text_may_be_chosen_and_documents_end_at_blank_lines(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("Oil rises\nand falls.\n\n\nShares fall\n")
    assert not cleaned(tmp_path, "text", path, least=1)[0]["dropped"].get("too short")
    assert [row["text"] for row in cleaned(tmp_path, "text", path, least=10)[1]] == ["and falls.", "Shares fall"]
    found = cleaned(tmp_path, "text", path, least=1, documents="blank-line")[1]
    assert [row["text"] for row in found] == ["Oil rises and falls.", "Shares fall"]
    with pytest.raises(UserError, match="option documents is 'page', but must be line or blank-line"):
        cleaned(tmp_path, "text", path, documents="page")


def test_a_line_of_fifty_megabytes(tmp_path):
    line = LONG * (50_000_000 // len(LONG))
    lines(tmp_path / "x.jsonl", [{"text": TEXTS[0]}, {"text": line}, {"text": TEXTS[1]}])
    found = cleaned(tmp_path, "text", tmp_path / "x.jsonl")[1]
    assert [len(row["text"]) for row in found] == [len(TEXTS[0]), len(line.strip()), len(TEXTS[1])]
