"""`dapt predict` from the shell: JSON lines in and out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dapt.serving import engine, operations
from dapt.serving.requests import FillMask

DAPT = str(Path(sys.executable).parent / "dapt")


def predict(folder: Path, *words: str, given: str = "", code: int = 0) -> tuple[list[dict], str]:
    done = subprocess.run([DAPT, "predict", *words], cwd=folder, input=given, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_lines_in_lines_out(model_folder, tmp_path):
    given = '"fever [MASK]"\n\n{"text": ["a [MASK]", "[MASK] b"], "id": 7}\n'
    found, _ = predict(tmp_path, "fill-mask", "--model", str(model_folder), "--top-k", "2", given=given)
    model = engine.Encoder(model_folder)
    for line, texts in zip(found, (["fever [MASK]"], ["a [MASK]", "[MASK] b"]), strict=True):
        (expected,) = operations.fill_mask(model, [FillMask(model="x", text=texts, top_k=2)])
        for one, other in zip(line["results"], expected, strict=True):
            assert [token["token_id"] for token in one["masks"][0]] == [
                token["token_id"] for token in other["masks"][0]
            ]
            assert one["masks"][0][0]["score"] == pytest.approx(other["masks"][0][0]["score"], abs=1e-5)
    assert [line["line"] for line in found] == [1, 3]


def test_a_file_is_written_whole_and_a_line_that_cannot_be_answered_says_why(model_folder, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "fever"}\n{"text": "' + "fever " * 1000 + '"}\n')
    words = ("--model", str(model_folder), "--in", "in.jsonl", "--out", "out.jsonl", "--tokens")
    _, said = predict(tmp_path, "score", *words, code=2)
    good, bad = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert good["results"][0]["loss"] > 0 and good["results"][0]["per_token"][0]["token"]
    assert "text 1 has" in bad["error"] and "1 of 2 lines could not be answered" in said


def test_a_line_that_is_no_request_has_an_error_and_the_others_their_answers(model_folder, tmp_path):
    """Numbered as they stand in the file; a line ends at a line feed alone, not at other white space of Unicode."""
    given = '\n{\n"a\u2028b [MASK]"\n\n7\n""\n{"text": "[MASK]", "id": 3}\n{"text": "[MASK]", "topk": 3}\n'
    found, said = predict(tmp_path, "fill-mask", "--model", str(model_folder), given="\ufeff" + given, code=2)
    assert [line["line"] for line in found] == [2, 3, 5, 6, 7, 8]
    messages = [line.get("error", "")[:40] for line in found]
    assert messages[0].startswith("the line is not JSON") and messages[1] == messages[4] == ""
    assert messages[2].startswith("the line must be an object") and messages[3].startswith("text.0: String should")
    assert messages[5].startswith("topk: Extra inputs") and "4 of 6 lines could not be answered" in said


@pytest.mark.parametrize(
    "data, message",
    [(b"", "in.jsonl is empty"), (b'"a \xff[MASK]"\n', "in.jsonl is not UTF-8 (byte 3)")],
)
def test_a_file_that_cannot_be_read_is_refused_and_nothing_is_written(model_folder, tmp_path, data, message):
    (tmp_path / "in.jsonl").write_bytes(data)
    words = ("--model", str(model_folder), "--in", "in.jsonl", "--out", "out.jsonl")
    _, said = predict(tmp_path, "fill-mask", *words, code=2)
    assert said.startswith("dapt predict: ") and message in said and not (tmp_path / "out.jsonl").exists()
