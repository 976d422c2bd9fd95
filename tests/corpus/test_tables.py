"""Raw table files: every format, packed and plain, gives the same rows; what is wrong with one is said in one line."""

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dapt.corpus import tables
from dapt.corpus.tables import document, rows, text_file
from dapt.telling.errors import UserError
from sources import written

ROWS = [
    {"text": 'first, with "quotes"\nand two lines', "n": "1"},
    {"text": "zweite Zeile: ä, €, 😊", "n": "2"},
    {"text": "", "n": "3"},
]


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.json", "x.jsonl", "x.parquet"])
def test_every_format_gives_the_same_rows(tmp_path, name, packing):
    assert list(rows(written(tmp_path / (name + packing), ROWS), ("text",), ("n",))) == ROWS


def test_json_lines_may_be_named_json_and_a_list_jsonl(tmp_path):
    (tmp_path / "lines.json").write_text('{"text": "a"}\n\n{"text": "b"}\n')
    (tmp_path / "list.jsonl").write_text(' \n[{"text": "a"},\r\n {"text": "b"}]\n')
    for path in tmp_path.iterdir():
        assert list(rows(path, ("text",))) == [{"text": "a"}, {"text": "b"}]


def test_a_list_is_read_in_pieces_of_any_size(tmp_path, monkeypatch):
    values = [{"text": "x" * length, "n": [length, {"a": -1.5e3}]} for length in range(60)]
    values += [12, 345, None, "y", [], {}]
    (tmp_path / "x.json").write_text(json.dumps(values))
    whole = [value if isinstance(value, dict) else {} for value in values]
    for size in (1, 2, 3, 7, 64, 1 << 20):
        monkeypatch.setattr(tables, "CHUNK", size)
        assert list(rows(tmp_path / "x.json", ("text",))) == whole


def test_marks_and_line_ends_of_windows(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n{"text": "b"}\r\n')
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf[{"text": "a"},\r\n{"text": "b"}]\r\n')
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbftext\r\na\r\nb\r\n")
    for path in tmp_path.iterdir():
        assert list(rows(path, ("text",))) == [{"text": "a"}, {"text": "b"}]


def test_what_is_no_row_comes_as_an_empty_one(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n7\nnull\n[{"text": "b"}]\n"text"\n')
    (tmp_path / "x.csv").write_text("text,n\na,1\nb,2,3,4\nc\n")
    assert list(rows(tmp_path / "x.jsonl", ("text",))) == [{"text": "a"}, {}, {}, {}, {}]
    assert list(rows(tmp_path / "x.csv", ("text",))) == [{"text": "a", "n": "1"}, {}, {"text": "c", "n": None}]


def test_lone_surrogates_and_nul_bytes_can_be_written_again(tmp_path):
    row = r'{"text": "a\ud800b", "n": ["\uDFFF", {"\udc00": 1}], "o": "\ud83d\ude0a\u0000"}'
    (tmp_path / "x.jsonl").write_text(row)
    (tmp_path / "x.csv").write_bytes(b"text\na\0b\n")
    found = list(rows(tmp_path / "x.jsonl", ("text",)))
    assert found == [{"text": "a\ufffdb", "n": ["\ufffd", {"\ufffd": 1}], "o": "😊\0"}]
    assert json.dumps(found, ensure_ascii=False).encode()
    assert list(rows(tmp_path / "x.csv", ("text",))) == [{"text": "a\0b"}]


def test_a_column_may_be_absent_from_some_rows_but_not_from_all(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"n": 1}\n{"text": "a", "n": 2}\n')
    assert list(rows(tmp_path / "x.jsonl", ("text",))) == [{"n": 1}, {"text": "a", "n": 2}]
    with pytest.raises(UserError, match="x.jsonl has no column txt; its columns are: n"):
        list(rows(tmp_path / "x.jsonl", ("txt",)))


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.jsonl", "x.parquet"])
def test_a_missing_column_is_named_with_those_there_are(tmp_path, name, packing):
    path = written(tmp_path / (name + packing), ROWS)
    with pytest.raises(UserError, match=f"{path.name} has no column body; its columns are: text, n"):
        list(rows(path, ("body",)))


def test_parquet_reads_no_column_that_nobody_asked_for(tmp_path):
    path = written(tmp_path / "x.parquet", ROWS)
    assert list(rows(path, ("text",), optional=("n", "o")))[0] == ROWS[0]
    assert list(rows(path, ("text",)))[0] == {"text": ROWS[0]["text"]}


@pytest.mark.parametrize(
    "values, kind",
    [
        ([1, 2], "int64"),
        ([1.5], "double"),
        ([True], "bool"),
        ([["a"]], "list"),
        ([b"a"], "binary"),
        ([{"a": "b"}], "struct"),
    ],
)
def test_a_parquet_column_of_another_type_is_refused(tmp_path, values, kind):
    pq.write_table(pa.table({"text": values}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=f"column text contains {kind}.*, not text"):
        list(rows(tmp_path / "x.parquet", ("text",)))
    assert [row["text"] for row in rows(tmp_path / "x.parquet", (), ("text",))] == values


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.null()]
)
def test_all_that_holds_text_in_parquet_is_read(tmp_path, kind):
    values = [None, None] if kind == pa.null() else ["a", None]
    pq.write_table(pa.table({"text": pa.array(values, kind)}), tmp_path / "x.parquet")
    assert [row["text"] for row in rows(tmp_path / "x.parquet", ("text",))] == values


@pytest.mark.parametrize(
    "name, data, says",
    [
        ("x.jsonl", b"", "is empty"),
        ("x.jsonl", b" \n \n", "is empty"),
        ("x.jsonl", b'{"text": "a"}\n{"text": "b', "line 2 is not valid JSON"),
        ("x.jsonl", b"[" * 100_000, "not a complete JSON list"),
        ("x.jsonl", b'{"text": ' + b"[" * 100_000, "is not valid JSON"),
        ("x.jsonl", b'{"text": ' + b"9" * 5000 + b"}", "is not valid JSON"),
        ("x.json", b'[{"text": "a"}, {"text": "b"', "not a complete JSON list .*element 2"),
        ("x.json", b'[{"text": "a"} {"text": "b"}]', "a comma is missing"),
        ("x.json", b'[{"text": "a"}]]', "something after"),
        ("x.json", b'[{"text": "a"},]', "not a complete JSON list"),
        ("x.json", b"[", "not a complete JSON list"),
        ("x.json", b"[]x", "something after"),
        ("x.json", '[{"text": "ä"}]'.encode("latin-1"), "is not UTF-8"),
        ("x.json", '[{"text": "a"}]'.encode("utf-16"), "is not UTF-8"),
        ("x.csv", b"", "has no column text; its columns are: none"),
        ("x.csv", b'text,n\n"a,1\nb,2\n', "line 3: unexpected end of data"),
        ("x.csv", b'text,n\n"a"b,1\n', "line 2"),
        ("x.csv", b"text,text\na,b\n", "has the column text twice"),
        ("x.csv", "text\nä\n".encode("latin-1"), "is not UTF-8"),
        ("x.parquet", b"", "not a complete Parquet file"),
        ("x.parquet", b"PAR1 and nothing more PAR1", "not a complete Parquet file"),
        ("x.parquet.gz", gzip.compress(b"nothing"), "not a complete Parquet file"),
        ("x.csv.gz", b"text\na\n", "not a complete gzip file"),
        ("x.csv.gz", gzip.compress(b"text\n" + bytes(range(97, 120)) * 500)[:60], "not a complete gzip file"),
        ("x.jsonl.zst", b'{"text": "a"}', "not a complete zstd file"),
        ("x.xlsx", b"", "unknown file ending .xlsx; it must be one of .csv"),
        ("x", b"", r"unknown file ending \(none\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "data",
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=says) as caught:
        list(rows(tmp_path / name, ("text",)))
    assert str(caught.value).startswith(name) and "\n" not in str(caught.value)


def test_an_empty_list_has_no_rows(tmp_path):
    (tmp_path / "x.json").write_text(" [ ] \n")
    assert list(rows(tmp_path / "x.json", ("text",))) == []


def test_a_parquet_that_holds_the_column_twice_is_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(UserError, match="twice"):
        list(rows(tmp_path / "x.parquet", ("text",)))


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path):
    for name in ("x.jsonl", "x.csv.gz", "x.parquet"):
        with pytest.raises(FileNotFoundError) as caught:
            list(rows(tmp_path / name, ("text",)))
        assert str(tmp_path / name) in str(caught.value)


def test_documents(tmp_path):
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b'\xef\xbb\xbf{"data": ["\\ud800"]}'))
    assert document(tmp_path / "x.json.gz") == {"data": ["\ufffd"]}
    (tmp_path / "y.json").write_text('{"data": [')
    with pytest.raises(UserError, match="y.json is not valid JSON"):
        document(tmp_path / "y.json")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv", "x.parquet"])
def test_rows_come_one_at_a_time(tmp_path, name):
    """Ten times as many rows take no more memory: all of them at once would be 45 MB of strings, and their dicts."""
    code = (
        "import sys; from pathlib import Path; from dapt.corpus.tables import rows\n"
        "print(sum(1 for _ in rows(Path(sys.argv[1]), ('text',))))\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    peak = []
    for count in (20_000, 200_000):
        path = written(tmp_path / name, [{"text": f"{number} " + "words of a row " * 10} for number in range(count)])
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        found, kilobytes = map(int, done.stdout.split())
        assert found == count
        peak.append(kilobytes)
    assert peak[1] - peak[0] < 20_000


BY_PROGRAM = [["text", "label"], ['"Low fever was the first sign', "A"], ["a plain row", "B"], ['all in all"', "A"]]
BY_SPREADSHEET = [["text", "label"], ['she said "no" twice', "A"], ["two\nlines and a\ttab", "B"], ["plain", '"']]


def test_tabs_as_programs_write_them_keep_their_quotes_and_every_row(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("".join("\t".join(cells) + "\n" for cells in BY_PROGRAM))
    assert [[row["text"], row["label"]] for row in rows(path, ("text", "label"))] == BY_PROGRAM[1:]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_tabs_as_spreadsheets_write_them(tmp_path, quoting):
    path = tmp_path / "x.tsv"
    with open(path, "w", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=quoting).writerows(BY_SPREADSHEET)
    assert [[row["text"], row["label"]] for row in rows(path, ("text", "label"))] == BY_SPREADSHEET[1:]


def test_tabs_of_which_no_reading_is_sound_are_refused_with_the_line(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text('text\tlabel\n"begins and goes on\tA\none cell\n"ends" here\tB\n')
    with pytest.raises(UserError, match="x.tsv line 4: "):
        list(rows(path, ("text",)))


def test_spaces_around_the_names_of_columns_are_none_of_theirs(tmp_path):
    (tmp_path / "x.csv").write_text("id, text\n1, heart\n")
    assert [row["text"] for row in rows(tmp_path / "x.csv", ("text",))] == [" heart"]


def test_bytes_of_another_encoding_are_named_with_their_place(tmp_path):
    before = "größe\n".encode()
    (tmp_path / "x.txt").write_bytes(before + b"20\xb0C\n")
    (tmp_path / "x.txt.gz").write_bytes(gzip.compress(before + b"20\xb0C\n"))
    for name in ("x.txt", "x.txt.gz"):
        with (
            pytest.raises(UserError, match=f"{name} line 2, byte {len(before) + 2}, is not UTF-8"),
            text_file(tmp_path / name) as file,
        ):
            file.read()
    broken = pa.array([b"sound", b"20\xb0C"]).view(pa.string())
    pq.write_table(pa.table({"text": broken}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="x.parquet, in row 1 or later: a text is not UTF-8"):
        list(rows(tmp_path / "x.parquet", ("text",)))


def test_an_object_written_for_people_is_a_row_and_two_are_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"text": "heart"}, indent=1))
    assert [row["text"] for row in rows(path, ("text",))] == ["heart"]
    path.write_text(json.dumps({"text": "heart"}, indent=1) * 2)
    with pytest.raises(UserError, match="x.json, which is neither a list nor one value per line, is not valid JSON"):
        list(rows(path, ("text",)))
