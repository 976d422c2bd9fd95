"""Checkpoints in and out."""

import json
import math
import shutil
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM

from dapt.model.checkpoint import check_fits, load, pooler, save
from dapt.tasks import finetuning
from dapt.tasks.kinds import kind
from dapt.telling.errors import UserError
from networks import CONFIGS


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
    with pytest.raises(UserError, match="128 embeddings"):
        check_fits(network, replace(special, vocabulary=500), 32)
    check_fits(network, replace(special, longest=512), 32)  # what the tokenizer says hinders no window that fits


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
        with nullcontext() if fits else pytest.raises(UserError, match=f"{embeddings} embeddings"):
            check_fits(network, replace(special, vocabulary=vocabulary))


def test_what_does_not_load_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError, match="cannot be loaded"):
        load(tmp_path)


def changed(model_folder, folder, change, form: str = "model.safetensors"):
    """A copy of the model whose weights are what `change` makes of them, safe or pickled."""
    shutil.copytree(model_folder, folder)
    weights = change(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    if form == "model.safetensors":
        save_file(weights, folder / form, metadata={"format": "pt"})
    else:
        torch.save(weights, folder / form)
    return folder


@pytest.mark.parametrize("form", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_weights_that_a_training_loop_wrapped_are_read_and_this_is_said(model_folder, tmp_path, capsys, prefix, form):
    def wrapped(weights):
        return {prefix + name: value for name, value in weights.items()}

    folder = changed(model_folder, tmp_path / "wrapped", wrapped, form)
    network, audit = load(folder)
    reference, _ = load(model_folder)
    assert not audit.missing
    assert all(torch.equal(value, reference.state_dict()[name]) for name, value in network.state_dict().items())
    assert pooler(folder, "bert").keys() == pooler(model_folder, "bert").keys()
    assert f"with the prefix {prefix}" in capsys.readouterr().err


@pytest.mark.parametrize("entry", ["state_dict", "model_state_dict", "model"])
def test_weights_inside_of_a_training_loops_checkpoint_are_read_and_this_is_said(model_folder, tmp_path, capsys, entry):
    folder = changed(
        model_folder,
        tmp_path / "nested",
        lambda weights: {"epoch": 3, entry: weights, "optimizer": {}},
        "pytorch_model.bin",
    )
    network, audit = load(folder)
    reference, _ = load(model_folder)
    assert not audit.missing
    assert all(torch.equal(value, reference.state_dict()[name]) for name, value in network.state_dict().items())
    assert f"inside {entry}" in capsys.readouterr().err


def test_names_that_begin_like_a_wrapper_are_a_models_own(tmp_path, capsys):
    """ModernBERT's weights are called model.…"""
    network = AutoModelForMaskedLM.from_config(CONFIGS["modernbert"])
    network.save_pretrained(tmp_path)
    again, audit = load(tmp_path)
    assert not audit.missing and not capsys.readouterr().err
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())


def test_an_old_encoder_alone_with_gamma_and_beta_is_read(model_folder, tmp_path):
    """BERT's first names, without the prefix of the model that carries it: the head alone is missing."""

    def old(weights):
        inner = {name.removeprefix("bert."): value for name, value in weights.items() if name.startswith("bert.")}
        return {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
            for name, value in inner.items()
        }

    network, audit = load(changed(model_folder, tmp_path / "old", old, "pytorch_model.bin"))
    reference, _ = load(model_folder)
    assert audit.head_missing and all(name.startswith("cls.") for name in audit.missing)
    theirs = reference.bert.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in network.bert.state_dict().items())


def without_a_layer(weights):
    return {name: value for name, value in weights.items() if ".layer.1." not in name}


def with_a(number):
    def change(weights):
        weights["bert.encoder.layer.0.output.dense.bias"][3] = number
        return weights

    return change


def of_another_vocabulary(weights):
    return weights | {"bert.embeddings.word_embeddings.weight": torch.zeros(90, 32)}


@pytest.mark.parametrize(
    "change, message",
    [
        (without_a_layer, "missing weights of the encoder: bert.encoder.layer.1.* .16 in all."),
        *(
            (with_a(number), "weights that are not finite: bert.encoder.layer.0.output.dense.bias;")
            for number in (math.nan, math.inf, -math.inf)
        ),
        (
            of_another_vocabulary,
            "whose shape is not that of config.json: .*word_embeddings.weight .90, 32. instead of .128, 32.",
        ),
    ],
)
def test_an_encoder_that_is_not_whole_is_refused_as_a_masked_lm_and_for_a_task(model_folder, tmp_path, change, message):
    folder = changed(model_folder, tmp_path / "broken", change)
    with pytest.raises(UserError, match=message):
        load(folder)
    with pytest.raises(UserError, match=message):
        finetuning.load(kind("classification"), folder, ["a", "b"], 0.0, 0)


def test_the_pooler_may_be_missing_for_a_task(model_folder, tmp_path):
    def without(weights):
        return {name: value for name, value in weights.items() if "pooler" not in name}

    finetuning.load(kind("classification"), changed(model_folder, tmp_path / "bare", without), ["a", "b"], 0.0, 0)
