"""A model's tokenizer: its special tokens, its longest text, its marks of words."""

import pytest
from tokenizers import Tokenizer, models
from transformers import (
    AutoTokenizer,
)

from dapt.mlm.tokens import encode_tokens
from dapt.model.tokenizer import continuations, load_tokenizer
from dapt.telling.errors import UserError


def test_the_longest_text_is_what_tokenizer_config_json_says(tokenizer_folder, tmp_path):
    """Read and written by transformers; none is none, although it writes a number then."""
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(tokenizer_folder)
    for said, found in ((512, 512), (reference.model_max_length, None)):
        reference.model_max_length = said
        reference.save_pretrained(tmp_path)
        assert load_tokenizer(tmp_path)[1].longest == found


def test_a_folder_without_or_with_a_damaged_tokenizer_is_refused(tmp_path):
    with pytest.raises(UserError, match="no tokenizer.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "marks, expected",
    [
        (["[UNK]", "heart", "##y", "un"], [False, False, True, False]),
        (["<unk>", "Ġheart", "y", "Ġun"], [True, False, True, False]),
        (["<unk>", "▁heart", "y", "▁un"], [True, False, True, False]),
    ],
)
def test_tokens_that_go_on_with_a_word(marks, expected):
    vocabulary = {mark: number for number, mark in enumerate(marks)}
    assert continuations(Tokenizer(models.WordLevel(vocabulary, unk_token=marks[0]))).tolist() == expected


def test_a_tokenizer_without_marks_has_no_whole_words():
    with pytest.raises(UserError, match="train.whole_words"):
        continuations(Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]")))


def test_robertas_tokenizer_is_understood(tmp_path):
    """Byte-level BPE with <s> and </s>: our ids between them are those that transformers' own tokenizer gives."""
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        ["the patient has fever", "the bank raised its rate"],
        vocab_size=300,
        show_progress=False,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    )
    trained._tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        mask_token="<mask>",
    ).save_pretrained(tmp_path)
    tokenizer, special = load_tokenizer(tmp_path)
    assert (special.cls, special.pad, special.sep, special.mask) == (0, 1, 2, 4)
    text = "the patient has a rate"
    ours = encode_tokens(tokenizer, special, [text]).ids.tolist()
    assert [special.cls, *ours, special.sep] == AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"]
