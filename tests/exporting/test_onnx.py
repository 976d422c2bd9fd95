"""A model as onnxruntime runs it: its outputs are those of torch, and what int8 loses is measured."""

import copy
import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
import transformers
from huggingface_hub import ModelCard
from sentence_transformers import SentenceTransformer

from dapt import exporting
from dapt.core.files import write_lines
from dapt.exporting import Options, int8, libraries
from dapt.judging import masked_loss
from dapt.judging.inputs import settings
from dapt.mlm.tokens import encode_tokens
from dapt.telling.errors import UserError
from examples import examples, printed
from published import publish
from sentences import sentences

TEXTS = ["fever", "the bank raised its rate", " ".join(sentences(3))]


def exported(model, folder, **options):
    return exporting.run("onnx", model, folder, Options(**options))


def session(folder, name: str = "model.onnx"):
    return onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])


def batches(tokenizer):
    """One short text, one long one, and all of them with padding, as arrays."""
    for texts in (TEXTS[:1], TEXTS[2:], TEXTS):
        yield tokenizer(texts, padding=True, truncation=True, max_length=60, return_tensors="np")


def assert_same(folder, auto, output: str):
    """The output of onnxruntime is that of transformers on the exported tokenizer's batches, at every token of the texts."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    runs = session(folder)
    for batch in batches(tokenizer):
        given = {one.name: batch[one.name] for one in runs.get_inputs()}
        [ours] = runs.run([output], given)
        with torch.no_grad():
            theirs = auto(**{name: torch.from_numpy(value) for name, value in given.items()})[output].numpy()
        used = given["attention_mask"].astype(bool) if ours.ndim == 3 else slice(None)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours[used], theirs[used], atol=1e-4)


def test_a_masked_language_model_gives_its_logits(model_folder, tmp_path):
    found = exported(model_folder, tmp_path / "out")
    assert (found["purpose"], found["outputs"]) == ("masked language model", ["logits"])
    names = transformers.AutoTokenizer.from_pretrained(model_folder).model_input_names
    assert sorted(found["inputs"]) == sorted(names) and found["largest_difference"] <= 1e-4
    assert_same(tmp_path / "out", transformers.AutoModelForMaskedLM.from_pretrained(model_folder).eval(), "logits")
    assert [path.name for path in (tmp_path / "out").glob("*.onnx*")] == ["model.onnx"]


def test_a_classifier_gives_the_logits_of_its_classes(fine_tuned, tmp_path):
    model = fine_tuned / "models/tasks/finance_classification/base"
    assert exported(model, tmp_path / "out")["purpose"] == "classifier"
    assert_same(
        tmp_path / "out", transformers.AutoModelForSequenceClassification.from_pretrained(model).eval(), "logits"
    )
    assert json.loads((tmp_path / "out/config.json").read_text())["id2label"] == {"0": "bank", "1": "fever"}


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_sentence_encoder_gives_the_vectors_of_sentence_transformers(model_folder, tmp_path, pooling):
    exporting.run("sentence-transformers", model_folder, tmp_path / "encoder", Options(pooling=pooling))
    found = exported(tmp_path / "encoder", tmp_path / "out")
    assert found["outputs"] == ["last_hidden_state", "sentence_embedding"]
    assert_same(tmp_path / "out", transformers.AutoModel.from_pretrained(model_folder).eval(), "last_hidden_state")
    tokenizer, runs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out"), session(tmp_path / "out")
    batch = tokenizer(TEXTS, padding=True, return_tensors="np")
    [vectors] = runs.run(["sentence_embedding"], {one.name: batch[one.name] for one in runs.get_inputs()})
    np.testing.assert_allclose(
        vectors, SentenceTransformer(str(tmp_path / "encoder"), device="cpu").encode(TEXTS), atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RoBERTa", "XLM-R", "ELECTRA", "DeBERTa-v3", "ModernBERT", "MPNet"])
def test_other_types_are_written_too(tmp_path, name):
    model = publish(name, tmp_path / "model")
    exported(model, tmp_path / "out")
    assert_same(tmp_path / "out", transformers.AutoModelForMaskedLM.from_pretrained(model).eval(), "logits")


def test_an_encoder_without_a_head_gives_its_hidden_states(tmp_path):
    model = publish("SciBERT", tmp_path / "model")
    assert exported(model, tmp_path / "out")["outputs"] == ["last_hidden_state"]
    assert_same(tmp_path / "out", transformers.AutoModel.from_pretrained(model).eval(), "last_hidden_state")


@pytest.fixture()
def finance(model_folder, tmp_path, monkeypatch):
    """A folder with models/finance and its held-out text, in which the test stands."""
    shutil.copytree(model_folder, tmp_path / "models/finance")
    rows = [{"text": text, "group": f"g{number // 2}"} for number, text in enumerate(sentences(40))]
    write_lines(tmp_path / "data/split/finance/heldout.jsonl", rows)
    monkeypatch.chdir(tmp_path)
    return rows


def test_int8_is_smaller_and_its_loss_is_measured(finance, tmp_path):
    found = exported(exporting.Path("models/finance"), tmp_path / "out", int8=True)
    small = found["int8"]
    assert small["text"] == "held-out text of finance" and small["texts"] == 40
    assert small["bytes"] == (tmp_path / "out/model_quantized.onnx").stat().st_size < found["bytes"]
    masked_lm, tokenizer, special = masked_loss.loaded(tmp_path / "models/finance", settings())
    tokens = encode_tokens(tokenizer, special, (row["text"] for row in finance))
    torchs = masked_loss.figures(masked_loss.by_group(masked_lm, tokens, finance, special, settings()), 1)
    assert small["loss"] == pytest.approx(torchs["loss"], abs=2e-4)
    assert small["masked_tokens"] == torchs["masked_tokens"]
    assert small["loss_difference"] == pytest.approx(small["loss_int8"] - small["loss"], abs=2e-4)
    assert small["loss_difference"] != 0 and small["loss_difference_ci95"][0] <= small["loss_difference_ci95"][1]
    assert 0.9 < small["cosine"] < 1 and small["largest_difference"] > 10 * found["largest_difference"]


def test_int8_of_few_texts_has_no_interval_and_of_none_is_refused(finance, tmp_path):
    """The last batch has no masked token, and one document has no interval."""
    path, model = tmp_path / "data/split/finance/heldout.jsonl", exporting.Path("models/finance")
    for word in " ".join(sentences(9)).split():  # one of them is not masked
        row = {"text": word, "group": "g"}
        write_lines(path, [row])
        try:
            int8.text(model, [row], 64, masked=True)
        except UserError as error:
            assert "has nothing to predict; export without --int8" in str(error)
            break
    with pytest.raises(UserError, match="nothing to predict"):
        exported(model, tmp_path / "none", int8=True)
    assert not (tmp_path / "none").exists()
    write_lines(path, [one | {"group": "g"} for one in finance[:8]] + [row])
    found = exported(model, tmp_path / "out", int8=True)["int8"]
    assert found["texts"] == 9 and found["loss_difference_ci95"] is None and found["masked_tokens"] > 5
    assert "95 % interval" not in (tmp_path / "out/README.md").read_text()


def test_of_two_equal_networks_nothing_differs_and_of_a_sentence_encoder_vectors_are_compared(
    finance, model_folder, tmp_path
):
    exporting.run("sentence-transformers", model_folder, tmp_path / "encoder", Options())
    found = exported(tmp_path / "encoder", tmp_path / "out", int8=True)
    assert found["int8"]["text"] == "general text" and "loss" not in found["int8"] and 0.9 < found["int8"]["cosine"] < 1
    runs, text = session(tmp_path / "out"), int8.text(tmp_path / "out", finance, 64, masked=False)
    assert int8.compared(runs, runs, text, masked=False) == {"largest_difference": 0.0, "cosine": 1.0}
    assert sum((places >= 0).sum() for _, places in int8.batches(text)) == len(text.tokens.ids)


def test_a_network_whose_outputs_are_not_those_of_torch_is_not_kept(model_folder, tmp_path, monkeypatch):
    """Here one that looks at padding."""
    real = torch.onnx.export

    def careless(graph, kwargs, **options):
        other = copy.deepcopy(graph)
        forward = other.network.forward
        other.network.forward = lambda attention_mask, **given: forward(
            attention_mask=torch.ones_like(attention_mask), **given
        )
        real(other, kwargs=kwargs, **options)

    monkeypatch.setattr(torch.onnx, "export", careless)
    with pytest.raises(UserError, match="the outputs of onnxruntime, of up to .*, differ from those of torch by"):
        exported(model_folder, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(fine_tuned, model_folder, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="scores the options of a question, and such a model is not exported to ONNX"):
        exported(fine_tuned / "models/tasks/multiple_choice/base", tmp_path / "out")

    def fails(*_, **__):
        raise torch.onnx.OnnxExporterError("no operation of this name. More follows")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(UserError, match="which is of the type bert, as ONNX .no operation"):
        exported(model_folder, tmp_path / "out")
    monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(
        UserError, match="the package onnxscript is not installed; run pip install -r requirements-export"
    ):
        exported(model_folder, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_readme_is_a_card_of_the_hubs_and_its_example_runs(model_folder, tmp_path, monkeypatch):
    exported(model_folder, tmp_path / "out", int8=True)
    card = ModelCard.load(tmp_path / "out/README.md")
    assert card.data.library_name == "onnx" and "model_quantized.onnx is the same network" in card.text
    monkeypatch.chdir(tmp_path / "out")
    [(code, _)] = examples(card.text)
    assert printed(code).startswith("(2, ")
