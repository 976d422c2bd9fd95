"""Checkpoints in and out."""

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from dapt.model.checkpoint import check_fits, load, pooler, save
from dapt.telling.errors import UserError


def test_saved_model_loads_as_masked_lm_and_as_classifier_with_its_pooler(model_folder, tmp_path):
    from transformers import AutoModelForSequenceClassification

    network, _ = load(model_folder)
    save(network, pooler(model_folder, "bert"), model_folder, tmp_path)
    again, audit = load(tmp_path)
    assert not audit.missing and not audit.head_missing
    assert all(torch.equal(value, dict(again.named_parameters())[name]) for name, value in network.named_parameters())
    classifier, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert {name.split(".")[0] for name in info["missing_keys"]} == {"classifier"}
    parent, _ = AutoModelForSequenceClassification.from_pretrained(model_folder, output_loading_info=True)
    assert torch.equal(classifier.bert.pooler.dense.weight, parent.bert.pooler.dense.weight)
    assert (tmp_path / "tokenizer.json").read_bytes() == (model_folder / "tokenizer.json").read_bytes()
    assert str(tmp_path) not in (tmp_path / "config.json").read_text()


def test_two_saves_are_the_same_bytes(model_folder, tmp_path):
    for name in ("one", "two"):
        network, _ = load(model_folder)
        save(network, pooler(model_folder, "bert"), model_folder, tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_what_does_not_belong_together_is_refused(model_folder, special):
    network, _ = load(model_folder)
    check_fits(network, special, 160)
    with pytest.raises(UserError, match="160 positions"):
        check_fits(network, special, 161)
    with pytest.raises(UserError, match="embeddings for 128"):
        check_fits(network, replace(special, vocabulary=500), 32)
    with pytest.raises(UserError, match="texts of 512 tokens, the model has 160"):
        check_fits(network, replace(special, longest=512), 32)


def test_embeddings_are_padded_but_not_those_of_another_tokenizer(special):
    """Of real models: DeBERTa-v3, its multilingual kin, BERT with its own tokenizer and with that of its cased twin."""
    for embeddings, vocabulary, fits in (
        (128100, 128001, True),
        (251000, 250102, True),
        (30522, 30522, True),
        (30522, 28996, False),
    ):
        network = BertForMaskedLM(
            BertConfig(
                vocab_size=embeddings, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=2
            )
        )
        with nullcontext() if fits else pytest.raises(UserError, match=f"embeddings for {embeddings}"):
            check_fits(network, replace(special, vocabulary=vocabulary))


def test_what_does_not_load_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError, match="does not load"):
        load(tmp_path)
