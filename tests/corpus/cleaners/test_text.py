"""Text of one's own, in every format."""

import gzip

import pyarrow as pa
import pytest

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


def test_a_users_own_folder(tmp_path):
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
    with pytest.raises(UserError, match="notes.docx: the ending .docx"):
        cleaned(tmp_path, "text", folder)


def test_a_line_of_fifty_megabytes(tmp_path):
    line = LONG * (50_000_000 // len(LONG))
    lines(tmp_path / "x.jsonl", [{"text": TEXTS[0]}, {"text": line}, {"text": TEXTS[1]}])
    found = cleaned(tmp_path, "text", tmp_path / "x.jsonl")[1]
    assert [len(row["text"]) for row in found] == [len(TEXTS[0]), len(line.strip()), len(TEXTS[1])]
