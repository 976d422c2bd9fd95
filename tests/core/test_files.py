import hashlib
import resource
import subprocess
import sys

import pytest

from dapt.core.files import made_from, read_json, read_lines, sha256, whole_file, whole_folder, write_lines
from dapt.telling.errors import UserError, guarded


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "deep" / "file"
    with whole_file(path) as file:
        file.write("old")
    with pytest.raises(RuntimeError):
        with whole_file(path) as file:
            file.write("new")
            raise RuntimeError
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]


def test_a_folder_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "folder"
    with whole_folder(path) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(RuntimeError):
        with whole_folder(path) as folder:
            (folder / "b").write_text("2")
            raise RuntimeError
    assert [file.name for file in path.iterdir()] == ["a"] and list(tmp_path.iterdir()) == [path]
    with whole_folder(path) as folder:
        (folder / "b").write_text("2")
    assert [file.name for file in path.iterdir()] == ["b"]


def test_a_full_disk_is_one_line_and_what_was_there_stays(tmp_path):
    """The kernel refuses the write, as it does on a full disk."""
    path = tmp_path / "file"
    path.write_text("old")
    script = (
        "from pathlib import Path; from dapt.core.files import whole_file; from dapt.telling.errors import guarded\n"
        f"def run():\n with whole_file(Path({str(path)!r})) as file: file.write('x' * 10**6)\n"
        "raise SystemExit(guarded('dapt test', run))"
    )
    full = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert full.returncode == 2 and full.stderr.count("\n") == 1 and "cannot write" in full.stderr
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_lines_go_out_and_in(tmp_path):
    rows = [{"text": 'Tab\tquote" ’ \u2028 end'}, {"n": 1}]
    assert write_lines(tmp_path / "x.jsonl", iter(rows)) == 2
    assert list(read_lines(tmp_path / "x.jsonl")) == rows


@pytest.mark.parametrize("content", ['{"a": 1}\n{"a": \n', '{"a": 1}\n[1]\n', '{"a": 1}\n\xff'])
def test_a_damaged_line_is_named(tmp_path, content):
    (tmp_path / "x.jsonl").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match="x.jsonl line [12]"):
        list(read_lines(tmp_path / "x.jsonl"))


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match="x.json"):
        read_json(tmp_path / "x.json")


def test_hashes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    before = sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert sha256(tmp_path) != before
    assert made_from(tmp_path / "b") == [
        {"path": (tmp_path / "b").as_posix(), "sha256": hashlib.sha256(b"abc").hexdigest()}
    ]


def test_user_errors_are_one_line_and_code_2_and_bugs_are_tracebacks(capsys):
    def wrong():
        raise UserError("what\nwhere")

    def bug():
        raise KeyError("x")

    assert guarded("dapt x", wrong) == 2
    assert capsys.readouterr().err == "dapt x: what where\n"
    assert guarded("dapt x", lambda: open("/no/such/file")) == 2
    assert "No such file or directory: /no/such/file" in capsys.readouterr().err
    with pytest.raises(KeyError):
        guarded("dapt x", bug)
