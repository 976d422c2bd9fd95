"""`dapt tokenize`: the documents of a domain as ids, in the order of its rows."""

import json

import numpy as np
import pytest

from dapt.core.files import read_lines, sha256
from dapt.mlm.tokens import read_tokens
from dapt.model.tokenizer import load_tokenizer
from dapt.stages import tokenize
from dapt.telling.errors import UserError


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
        assert said[side] == {"documents": len(texts), "tokens": sum(map(len, expected))}


def test_a_damaged_row_is_refused_and_the_tokens_of_before_stay(workspace):
    before = sha256(workspace / "data/tokens/biomed")
    rows = workspace / "data/split/biomed/train.jsonl"
    rows.chmod(0o644)
    with open(rows, "a") as file:
        file.write('{"text": "cut off')
    with pytest.raises(UserError, match="data/split/biomed/train.jsonl line"):
        tokenize.run("biomed")
    assert sha256(workspace / "data/tokens/biomed") == before
