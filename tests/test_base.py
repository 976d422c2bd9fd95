"""The repair of a head, on the small random model: untrained by construction, since its weights are random."""

import json
import shutil

import pytest
from repositories import ROOT, change
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from dapt import base, config
from dapt.tokenize import write_tokens


@pytest.fixture()
def workspace(tmp_path, monkeypatch, model_folder, tokens, special):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    change(tmp_path / "params.yaml", {"train.batch": 8, "train.window": 32, "train.threads": 1, "train.precision": "fp32",
                                      "evaluate.window": 32, "repair.every": 10, "repair.max_steps": 200, "repair.lr": 0.01})
    shutil.copytree(model_folder, tmp_path / "data/raw/model/base")
    documents = [tokens.ids[tokens.offsets[i]:tokens.offsets[i + 1]] for i in range(len(tokens))]
    (tmp_path / "data/tokens/general").mkdir(parents=True)
    write_tokens(tmp_path / "data/tokens/general", "train", documents[:100], special)
    write_tokens(tmp_path / "data/tokens/general", "valid", documents[100:], special)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_untrained_head_is_trained_alone_until_the_loss_stops_falling(workspace):
    base.run()
    figures = json.loads((workspace / "metrics/base.json").read_text())
    assert figures["repair"] == "head alone" and figures["steps"] % 10 == 0
    assert figures["loss_before"] > figures["unigram_loss"]
    assert figures["loss_after"] < figures["loss_before"] and figures["loss_after"] < figures["unigram_loss"] + 0.5
    before = load_file(workspace / "data/raw/model/base/model.safetensors")
    after = load_file(workspace / "models/base/model.safetensors")
    changed = {name for name, value in before.items() if not (value == after[name]).all()}
    assert changed and all(name.startswith("cls.") for name in changed)
    assert (after["bert.pooler.dense.weight"] == before["bert.pooler.dense.weight"]).all()
    assert figures["pooler"] == "present"


@pytest.fixture()
def foreseen(workspace, model_folder, special, tmp_path_factory):
    """A head that knows what the validation text says, which token frequencies of the training text do not tell."""
    for name, token in (("train", 5), ("valid", 9)):
        write_tokens(workspace / "data/tokens/general", name, [[token] * 40] * 30, special)
    folder = tmp_path_factory.mktemp("foreseen") / "model"
    shutil.copytree(model_folder, folder)
    weights = load_file(folder / "model.safetensors")
    weights["cls.predictions.bias"][9] = 1000.0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_trained_head_is_left_alone(workspace, foreseen):
    shutil.copytree(foreseen, workspace / "data/raw/model/base", dirs_exist_ok=True)
    figures = base.make_base(config.load())
    assert (figures["repair"], figures["steps"]) == ("none", 0) and figures["loss_before"] < figures["unigram_loss"]
    raw, made = (load_file(workspace / f"{name}/model.safetensors") for name in ("data/raw/model/base", "models/base"))
    assert all((value == made[name]).all() for name, value in raw.items())


def test_a_missing_head_is_taken_from_a_donor(workspace, foreseen, model_folder):
    shutil.rmtree(workspace / "data/raw/model/base")
    AutoModelForSequenceClassification.from_pretrained(model_folder).save_pretrained(workspace / "data/raw/model/base")
    shutil.copy(model_folder / "tokenizer.json", workspace / "data/raw/model/base")
    shutil.copytree(foreseen, workspace / "data/raw/model/donor")
    change(workspace / "params.yaml", {"model.donor": "minilm"})
    figures = base.make_base(config.load())
    assert any(name.startswith("cls.") for name in figures["missing"])
    assert (figures["repair"], figures["steps"]) == ("transplant", 0)
    assert figures["loss_after"] < 0.1
