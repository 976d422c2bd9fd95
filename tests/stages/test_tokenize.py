"""`dapt tokenize`: the documents of a domain as ids, in the order of its rows."""

import json

import numpy as np
import pytest

from dapt.core.files import read_lines, sha256, write_lines
from dapt.mlm.tokens import read_tokens
from dapt.model.tokenizer import load_tokenizer
from dapt.stages import tokenize
from dapt.telling.errors import UserError
from repositories import change


def test_each_row_becomes_a_document_in_the_ids_of_transformers(workspace):
    from transformers import AutoTokenizer

    before = sha256(workspace / "data/tokens/biomed")
    tokenize.run("biomed")
    assert sha256(workspace / "data/tokens/biomed") == before
    said = json.loads((workspace / "data/tokens/biomed/tokens.json").read_text())
    assert said["made_from"] == [{"path": "data/split/biomed", "sha256": sha256(workspace / "data/split/biomed")}]
    reference = AutoTokenizer.from_pretrained(workspace / "data/raw/model/base")
    for side in ("train", "valid"):
        texts = [row["text"] for row in read_lines(workspace / f"data/split/biomed/{side}.jsonl")]
        expected = reference(texts, add_special_tokens=False)["input_ids"]
        tokens = read_tokens(workspace / "data/tokens/biomed", side, load_tokenizer(workspace / "models/base")[1])
        assert [ids.tolist() for ids in np.split(tokens.ids, tokens.offsets[1:-1])] == expected
        assert said[side] == {"documents": len(texts), "tokens": sum(map(len, expected)), "unknown": 0.0}


def test_a_damaged_row_is_refused_and_the_tokens_of_before_stay(workspace):
    before = sha256(workspace / "data/tokens/biomed")
    rows = workspace / "data/split/biomed/train.jsonl"
    rows.chmod(0o644)
    with open(rows, "a") as file:
        file.write('{"text": "cut off')
    with pytest.raises(UserError, match="data/split/biomed/train.jsonl line"):
        tokenize.run("biomed")
    assert sha256(workspace / "data/tokens/biomed") == before


def chinese(workspace):
    """Every other training text of biomed in Chinese, of which the base's tokenizer knows nothing."""
    path = workspace / "data/split/biomed/train.jsonl"
    rows = [
        row | {"text": "患者服用药物两天后血压明显降低" * 4} if number % 2 else row
        for number, row in enumerate(read_lines(path))
    ]
    path.unlink()
    write_lines(path, rows)


def test_text_that_is_mostly_unknown_to_the_tokenizer_is_refused_before_anything_is_trained_on_it(workspace):
    chinese(workspace)
    before = sha256(workspace / "data/tokens/biomed")
    with pytest.raises(
        UserError, match="biomed/train: [3-9]..* % of the tokens are unknown .*evaluate.unknown to allow"
    ):
        tokenize.run("biomed")
    assert sha256(workspace / "data/tokens/biomed") == before


def test_unless_it_is_allowed(workspace, capsys):
    chinese(workspace)
    change(workspace, {"evaluate.unknown": "allow"})
    tokenize.run("biomed")
    said = json.loads((workspace / "data/tokens/biomed/tokens.json").read_text())
    assert 0.3 < said["train"]["unknown"] < 1 and said["valid"]["unknown"] == 0
    assert "they are never predicted" in capsys.readouterr().err
