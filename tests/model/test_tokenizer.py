"""A model's tokenizer: its special tokens, its longest text, its marks of words."""

import json
import re

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

import published
from dapt.mlm.tokens import encode_tokens
from dapt.model.tokenizer import continuations, load_tokenizer, write_tokenizer
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
    with pytest.raises(UserError, match="no tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(UserError, match="tokenizer.json is a Git LFS pointer, .* git lfs pull"):
        load_tokenizer(tmp_path)


def word_pieces():
    vocabulary = {"[UNK]": 0, "heart": 1, "##y": 2, "#": 3, "##": 4}
    return Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))


def byte_pairs():
    """A vocabulary that has `##`, as RoBERTa's."""
    tokenizer = Tokenizer(models.BPE({"<unk>": 0, "Ġheart": 1, "##": 2, "Ġ##": 3}, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    return tokenizer


def sentence_pieces():
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁heart", -1.0), ("y", -1.0), ("▁", -1.0)], 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    return tokenizer


def replaced_spaces():
    tokenizer = Tokenizer(models.BPE({"<unk>": 0, "▁heart": 1, "y": 2, "▁": 3}, [], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    return tokenizer


@pytest.mark.parametrize(
    "make, expected",
    [
        (word_pieces, [False, False, True, False, True]),
        (byte_pairs, [True, False, True, False]),
        (sentence_pieces, [True, False, True, False]),
        (replaced_spaces, [True, False, True, False]),
    ],
)
def test_tokens_that_go_on_with_a_word(make, expected):
    assert continuations(make()).tolist() == expected


def test_a_tokenizer_without_marks_has_no_whole_words():
    with pytest.raises(UserError, match="train.whole_words"):
        continuations(Tokenizer(models.WordLevel({"[UNK]": 0, "##a": 1, "Ġb": 2}, unk_token="[UNK]")))


@pytest.mark.parametrize(
    "change, settings, reason",
    [
        ({"lowercase": False}, {"do_lower_case": True}, "casing .lowercase is False in tokenizer.json; True is used"),
        ({"lowercase": True}, {"do_lower_case": False}, "casing .lowercase is True in tokenizer.json; False is used"),
    ],
)
def test_where_the_two_files_of_a_tokenizer_differ_the_ids_are_those_of_autotokenizer(
    tokenizer_folder, tmp_path, capsys, change, settings, reason
):
    spec = json.loads((tokenizer_folder / "tokenizer.json").read_text())
    spec["normalizer"] |= change
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"} | settings))
    tokenizer, _ = load_tokenizer(tmp_path)
    text = "The Patient has FEVER in London"
    assert tokenizer.encode(text).ids == AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"]
    assert re.search(reason, capsys.readouterr().err)
    (tmp_path / "saved").mkdir()
    write_tokenizer(tmp_path, tmp_path / "saved")
    capsys.readouterr()
    assert load_tokenizer(tmp_path / "saved")[0].encode(text).ids == tokenizer.encode(text).ids
    assert not capsys.readouterr().err


def test_a_space_before_the_text_that_only_the_settings_ask_for(tmp_path, capsys):
    byte_pairs_of(tmp_path)
    AutoTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"add_prefix_space": True}))
    tokenizer, _ = load_tokenizer(tmp_path)
    assert tokenizer.encode("patient").ids == AutoTokenizer.from_pretrained(tmp_path)("patient")["input_ids"]
    assert tokenizer.encode("patient").ids == tokenizer.encode(" patient").ids
    assert "a space before the text" in capsys.readouterr().err


def byte_pairs_of(folder):
    """RoBERTa's layout: vocab.json, merges.txt, and a config that names the type."""
    published.byte_pairs(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"}))


def test_a_vocabulary_with_capitals_of_which_no_file_says_its_case_is_read_as_cased(tmp_path, capsys):
    published.word_pieces(tmp_path, cased=True)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    tokenizer, _ = load_tokenizer(tmp_path)
    assert tokenizer.encode("The Patient", add_special_tokens=False).tokens == ["The", "Patient"]
    assert "is read as cased" in capsys.readouterr().err
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))  # what is said holds
    tokenizer, _ = load_tokenizer(tmp_path)
    assert tokenizer.encode("The Patient", add_special_tokens=False).tokens == ["the", "patient"]


def test_special_tokens_are_those_of_the_settings_whatever_they_are_called(tmp_path):
    """A vocabulary that has the names of both families, of which the settings name one; and names of neither."""
    for names in (["<s>", "</s>", "<mask>", "<pad>", "<unk>"], ["<bos>", "<eos>", "[M]", "[P]", "[U]"]):
        vocabulary = [*published.BERT, "a", "##a", *dict.fromkeys(names)]
        (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
        keys = ("cls_token", "sep_token", "mask_token", "pad_token", "unk_token")
        settings = {"tokenizer_class": "BertTokenizer"} | dict(zip(keys, names))
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
        _, special = load_tokenizer(tmp_path)
        assert [special.cls, special.sep, special.mask, special.pad] == [vocabulary.index(name) for name in names[:4]]


def test_a_tokenizer_that_is_python_code_is_refused(tmp_path):
    tokens = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWC", "<mask>"]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "esm"}))
    with pytest.raises(UserError, match="EsmTokenizer, which exists only as Python code"):
        load_tokenizer(tmp_path)


def test_half_of_a_byte_level_vocabulary_is_refused(tmp_path):
    byte_pairs_of(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(UserError, match="vocab.json but no merges.txt"):
        load_tokenizer(tmp_path)


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
