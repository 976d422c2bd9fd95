"""The repair of a head, on the small random model: untrained by construction, since its weights are random."""

import json
import shutil

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from dapt.core import config
from dapt.judging.probe import PROBE
from dapt.mlm.tokens import encode_tokens, write_tokens
from dapt.model.tokenizer import load_tokenizer
from dapt.stages import base
from dapt.telling.errors import UserError
from dapt.tools.audit import audit
from repositories import change, committed_files


@pytest.fixture()
def workspace(tmp_path, monkeypatch, model_folder, tokens, special):
    committed_files(tmp_path, "params.yaml", "profiles")
    change(
        tmp_path,
        {
            "train.batch": 8,
            "train.window": 32,
            "train.threads": 1,
            "train.precision": "fp32",
            "evaluate.window": 32,
            "repair.every": 10,
            "repair.max_steps": 200,
            "repair.lr": 0.01,
        },
    )
    shutil.copytree(model_folder, tmp_path / "data/raw/model/base")
    documents = [tokens.ids[tokens.offsets[i] : tokens.offsets[i + 1]] for i in range(len(tokens))]
    (tmp_path / "data/tokens/general").mkdir(parents=True)
    write_tokens(tmp_path / "data/tokens/general", "train", documents[:100], special)
    write_tokens(tmp_path / "data/tokens/general", "valid", documents[100:], special)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_untrained_head_is_trained_alone_until_the_loss_stops_falling(workspace):
    base.run()
    figures = json.loads((workspace / "metrics/base.json").read_text())
    assert figures["repair"] == "head alone" and figures["steps"] % 10 == 0
    assert figures["head"] == "untrained" and figures["probe_before"] > figures["probe_unigram"]
    assert figures["loss_after"] < figures["loss_before"]
    before = load_file(workspace / "data/raw/model/base/model.safetensors")
    after = load_file(workspace / "models/base/model.safetensors")
    changed = {name for name, value in before.items() if not (value == after[name]).all()}
    assert changed and all(name.startswith("cls.") for name in changed)
    assert (after["bert.pooler.dense.weight"] == before["bert.pooler.dense.weight"]).all()
    assert figures["pooler"] == "present"
    card = ModelCard.load(workspace / "models/base/README.md")
    assert card.data.model_name == "tiny" and f"head alone, {figures['steps']} steps on text of general" in card.text
    assert f"{figures['loss_before']:.3f} as it came, {figures['loss_after']:.3f} now" in card.text


@pytest.fixture()
def head(model_folder, tmp_path_factory):
    """A checkpoint whose head knows how often the probe's tokens stand there, better than other text tells it."""
    folder = tmp_path_factory.mktemp("head") / "model"
    shutil.copytree(model_folder, folder)
    tokenizer, special = load_tokenizer(folder)
    text = encode_tokens(tokenizer, special, (PROBE / "text.txt").read_text().splitlines())
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if name.startswith("cls.predictions.transform"):
            weights[name] *= 0
    counts = np.bincount(np.asarray(text.ids), minlength=128) + 1.0
    weights["cls.predictions.bias"].copy_(weights["cls.predictions.bias"].new_tensor(np.log(counts)))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture()
def headless(workspace, model_folder):
    """The base is a classifier's checkpoint."""
    folder = workspace / "data/raw/model/base"
    shutil.rmtree(folder)
    AutoModelForSequenceClassification.from_pretrained(model_folder).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model_folder / name, folder)
    return folder


def weights_of(workspace):
    return (load_file(workspace / f"{name}/model.safetensors") for name in ("data/raw/model/base", "models/base"))


def test_a_trained_head_is_left_alone(workspace, head):
    shutil.copytree(head, workspace / "data/raw/model/base", dirs_exist_ok=True)
    figures = base.make_base(config.load())
    assert (figures["head"], figures["repair"], figures["steps"]) == ("trained", "none", 0)
    raw, made = weights_of(workspace)
    assert all((value == made[name]).all() for name, value in raw.items())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_says_what_dapt_audit_says(workspace, precision):
    """Of the checkpoint as it came and as it was written, in fp32 whatever the training is in."""
    change(workspace, {"train.precision": precision, "repair.max_steps": 10})
    AcceleratorState._reset_state()
    figures = base.make_base(config.load())
    AcceleratorState._reset_state()
    before, after = (audit(workspace / name) for name in ("data/raw/model/base", "models/base"))
    assert [figures[name] for name in ("head", "probe_before", "probe_unigram", "probe_tokens")] == [
        before[name] for name in ("head", "loss", "unigram_loss", "masked_tokens")
    ]
    assert (figures["head_after"], figures["probe_after"]) == (after["head"], after["loss"])


def test_a_missing_head_is_taken_from_a_donor(workspace, headless, head):
    shutil.copytree(head, workspace / "data/raw/model/donor")
    change(workspace, {"model.donor": "minilm"})
    figures = base.make_base(config.load())
    assert figures["head"] == "missing" and any(name.startswith("cls.") for name in figures["missing"])
    assert (figures["repair"], figures["steps"], figures["head_after"]) == ("transplant", 0, "trained")
    assert figures["probe_after"] == audit(head)["loss"]


def test_a_donor_whose_head_is_untrained_is_not_enough(workspace, headless, model_folder):
    shutil.copytree(model_folder, workspace / "data/raw/model/donor")
    change(workspace, {"model.donor": "minilm", "repair.max_steps": 10})
    figures = base.make_base(config.load())
    assert figures["repair"] == "transplant, then head alone" and figures["steps"] == 10


def test_a_donor_without_a_head_or_with_other_tokens_is_refused(workspace, headless, head):
    donor = workspace / "data/raw/model/donor"
    shutil.copytree(headless, donor)
    change(workspace, {"model.donor": "minilm"})
    with pytest.raises(UserError, match="the donor has no masked-LM head"):
        base.make_base(config.load())
    shutil.copytree(head, donor, dirs_exist_ok=True)
    tokens = json.loads((donor / "tokenizer.json").read_text())
    names = tokens["model"]["vocab"]
    names["a"], names["b"] = names["b"], names["a"]
    (donor / "tokenizer.json").write_text(json.dumps(tokens))
    with pytest.raises(UserError, match="the donor's tokenizer has a different vocabulary"):
        base.make_base(config.load())


@pytest.mark.parametrize("which", ["untrained", "missing"])
def test_allow_leaves_the_head_as_it_is_and_says_so(workspace, which, request, capsys):
    if which == "missing":
        request.getfixturevalue("headless")
    change(workspace, {"repair.allow": True})
    base.run()
    figures = json.loads((workspace / "metrics/base.json").read_text())
    assert (figures["head"], figures["repair"], figures["steps"]) == (which, "none, allowed", 0)
    assert figures["head_after"] == "untrained" == audit(workspace / "models/base")["head"]
    raw, made = weights_of(workspace)
    assert all((value == raw[name]).all() for name, value in made.items() if name in raw)
    said = capsys.readouterr().out
    assert "repair: none, allowed" in said and "does worse than token frequencies" in said


def test_a_head_that_stays_worse_than_token_frequencies_is_said(workspace, capsys):
    change(workspace, {"repair.max_steps": 1, "repair.lr": 1e-9})
    base.run()
    assert json.loads((workspace / "metrics/base.json").read_text())["head_after"] == "untrained"
    assert "does worse than token frequencies" in capsys.readouterr().out
