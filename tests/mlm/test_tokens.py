"""Documents as ids, in memory and on disk."""

import numpy as np
import pytest

from dapt.mlm import tokens as tokens_module
from dapt.mlm.tokens import encode, encode_tokens, read_tokens, write_tokens
from dapt.model.tokenizer import load_tokenizer
from dapt.telling.errors import UserError
from sentences import sentences


def test_ids_are_those_of_transformers(model_folder):
    from transformers import AutoTokenizer

    texts = sentences(50) + ["", "  Fever, and RATE!  "]
    tokenizer, special = load_tokenizer(model_folder)
    reference = AutoTokenizer.from_pretrained(model_folder)
    assert list(encode(tokenizer, texts)) == reference(texts, add_special_tokens=False)["input_ids"]
    assert (special.cls, special.sep, special.mask, special.pad) == (
        reference.cls_token_id,
        reference.sep_token_id,
        reference.mask_token_id,
        reference.pad_token_id,
    )
    assert special.vocabulary == len(reference)


def test_nothing_is_cut_and_the_disk_holds_what_memory_holds(model_folder, tmp_path):
    texts = sentences(30, longest=900)
    tokenizer, special = load_tokenizer(model_folder)
    on_disk = write_tokens(tmp_path, "train", encode(tokenizer, texts), special)
    in_memory = encode_tokens(tokenizer, special, texts)
    assert np.array_equal(on_disk.ids, in_memory.ids) and np.array_equal(on_disk.offsets, in_memory.offsets)
    assert max(np.diff(on_disk.offsets)) > 512
    assert isinstance(on_disk.ids, np.memmap)


def test_the_offsets_file_is_the_one_that_numpy_writes(model_folder, tmp_path):
    tokenizer, special = load_tokenizer(model_folder)
    for number, texts in enumerate([[], [""], sentences(300)]):
        written = write_tokens(tmp_path, f"{number}", encode(tokenizer, texts), special)
        np.save(tmp_path / "numpys.npy", np.array(written.offsets))
        assert (tmp_path / f"{number}.offsets.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes()
        assert len(written) == len(texts)


@pytest.mark.parametrize("documents, characters", [(3, 10**6), (10**6, 200)])
def test_a_few_chunks_of_texts_are_in_memory(model_folder, monkeypatch, documents, characters):
    texts, read = sentences(400), []
    tokenizer, _ = load_tokenizer(model_folder)
    expected = list(encode(tokenizer, texts))
    monkeypatch.setattr(tokens_module, "DOCUMENTS", documents)
    monkeypatch.setattr(tokens_module, "CHARACTERS", characters)
    found = []
    for ids in encode(tokenizer, (read.append(text) or text for text in texts)):
        found.append(ids)
        ahead = read[len(found) :]
        assert len(ahead) <= 2 * documents and sum(map(len, ahead)) <= 2 * (characters + max(map(len, texts)))
    assert found == expected


def test_a_cut_off_file_is_refused(model_folder, tmp_path):
    tokenizer, special = load_tokenizer(model_folder)
    write_tokens(tmp_path, "train", encode(tokenizer, sentences(5)), special)
    whole = (tmp_path / "train.bin").read_bytes()
    (tmp_path / "train.bin").write_bytes(whole[:-4])
    with pytest.raises(UserError, match="train.bin"):
        read_tokens(tmp_path, "train", special)
