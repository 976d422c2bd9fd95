"""A model as sentence-transformers and text-embeddings-inference load it, and tuned for embeddings without labels."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer

from dapt import exporting
from dapt.cli import main
from dapt.core.files import sha256, write_json, write_lines
from dapt.exporting import Options, embeddings, libraries, tuning
from dapt.telling.errors import UserError
from examples import examples, printed
from published import publish
from sentences import sentences
from toys import answers, repository_with

TEXTS = ["fever", "the bank raised its rate", " ".join(sentences(30))]  # the last is cut


def exported(model, folder, **options):
    return exporting.run("sentence-transformers", model, folder, Options(**options))


def encoded(folder) -> np.ndarray:
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True).encode(TEXTS)


def by_hand(folder, pooling: str, longest: int) -> np.ndarray:
    """Vectors [texts, width] by plain transformers, each text alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    found = []
    for text in TEXTS:
        batch = tokenizer(text, truncation=True, max_length=longest, return_tensors="pt")
        with torch.no_grad():
            hidden = network(**batch).last_hidden_state[0]
        found.append(hidden[0] if pooling == "cls" else hidden.mean(0))
    return torch.stack(found).numpy()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_vectors_are_those_of_transformers_hidden_states(model_folder, tmp_path, pooling):
    found = exported(model_folder, tmp_path / "out", pooling=pooling)
    expected = by_hand(model_folder, pooling, found["longest"])
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoded(tmp_path / "out"), expected / lengths, atol=1e-5)
    assert (found["pooling"], found["normalised"], found["width"]) == (pooling, True, 32)
    assert found["longest"] == 160 < len(TEXTS[2].split()) and abs(lengths - 1).min() > 0.1


def test_mean_is_the_default_and_the_weights_are_those_of_the_model(model_folder, tmp_path):
    assert exported(model_folder, tmp_path / "out")["pooling"] == "mean"
    weights, original = load_file(tmp_path / "out/model.safetensors"), load_file(model_folder / "model.safetensors")
    assert weights and all(torch.equal(value, original[f"bert.{name}"]) for name, value in weights.items())


def test_text_embeddings_inference_finds_what_it_reads(model_folder, tmp_path):
    """The fields that its router parses, of these types, and fails without: PoolConfig, STConfig, NewSTConfig, ModelConfig."""
    folder = tmp_path / "out"
    exported(model_folder, folder, pooling="cls")
    pool, cut, prompts, config = (
        json.loads((folder / name).read_text())
        for name in (
            "1_Pooling/config.json",
            "sentence_bert_config.json",
            "config_sentence_transformers.json",
            "config.json",
        )
    )
    assert pool["pooling_mode_cls_token"] is True and pool["pooling_mode_mean_tokens"] is False
    assert type(cut["max_seq_length"]) is int and cut["max_seq_length"] <= config["max_position_embeddings"]
    assert prompts["prompts"] == {}
    assert config["architectures"] == ["BertModel"] and config["model_type"] == "bert"
    assert "embeddings.word_embeddings.weight" in load_file(folder / "model.safetensors")
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(TEXTS[1]).ids
    assert ids == transformers.AutoTokenizer.from_pretrained(model_folder)(TEXTS[1])["input_ids"]


def test_a_model_that_was_tuned_for_ranking_keeps_its_vectors(fine_tuned, tmp_path):
    model = fine_tuned / "models/tasks/answer_ranking/base"
    found = exported(model, tmp_path / "out")
    assert (found["pooling"], found["normalised"], found["longest"]) == ("mean", True, 24)
    np.testing.assert_allclose(encoded(tmp_path / "out"), encoded(model), atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_model_that_sentence_transformers_saved_keeps_its_vectors(model_folder, tmp_path, pooling):
    """Its own save writes the newer form of the files; here without vectors of length 1."""
    encoder = SentenceTransformer(modules=[Transformer(str(model_folder)), Pooling(32, pooling)], device="cpu")
    encoder.save(str(tmp_path / "saved"))
    found = exported(tmp_path / "saved", tmp_path / "out")
    assert (found["pooling"], found["normalised"]) == (pooling, False)
    np.testing.assert_allclose(encoded(tmp_path / "out"), encoded(tmp_path / "saved"), atol=1e-6)


def test_prompts_and_lower_case_are_kept(model_folder, tmp_path):
    transformer = Transformer(str(model_folder), do_lower_case=True)
    options = {"prompts": {"query": "fever "}, "default_prompt_name": "query", "similarity_fn_name": "dot"}
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu", **options).save(str(tmp_path / "saved"))
    exported(tmp_path / "saved", tmp_path / "out")
    ours, theirs = (SentenceTransformer(str(tmp_path / name), device="cpu") for name in ("out", "saved"))
    assert (ours.prompts["query"], ours.default_prompt_name, ours.similarity_fn_name) == ("fever ", "query", "dot")
    np.testing.assert_allclose(ours.encode(TEXTS), theirs.encode(TEXTS), atol=1e-6)
    assert not np.allclose(ours.encode(TEXTS), ours.encode(TEXTS, prompt=""), atol=1e-3)


def test_what_an_export_would_change_is_refused(model_folder, tmp_path):
    model = shutil.copytree(model_folder, tmp_path / "model")
    write_json(model / "1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True})
    with pytest.raises(UserError, match="names another pooling than mean and cls"):
        exported(model, tmp_path / "out")
    write_json(
        model / "modules.json", [{"type": f"sentence_transformers.models.{one}"} for one in ("Pooling", "Dense")]
    )
    with pytest.raises(UserError, match="has the module Dense, which an export would lose"):
        exported(model, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.fixture()
def repository(model_folder, tmp_path, monkeypatch):
    """A repository with a ranking task, and 100 texts of the domain finance of which 10 are test questions."""
    task = "answer_ranking"
    folder = repository_with(tmp_path / "repository", model_folder, task, answers, {"length": 24})
    rows = [json.loads(line) for line in (folder / f"data/split/tasks/{task}/test.jsonl").read_text().splitlines()]
    texts = sentences(90, seed=3, longest=20) + [row["question"] for row in rows[:10]]
    write_lines(folder / "data/split/finance/train.jsonl", [{"text": text} for text in texts])
    shutil.copytree(folder / "models/base", folder / "models/finance")
    monkeypatch.chdir(folder)
    torch.set_num_threads(1)
    return folder


def dapt(monkeypatch, capsys, *words: str) -> dict:
    monkeypatch.setattr(sys, "argv", ["dapt", "export", *words, "--format", "sentence-transformers", "--json"])
    assert main() == 0
    return json.loads(capsys.readouterr().out)


def measured(folder, rows: list[dict]) -> tuple[float, float]:
    """MRR@10 and recall@1 of the right answer among all, question by question."""
    encoder = SentenceTransformer(str(folder), device="cpu")
    texts = list(dict.fromkeys(row["answer"] for row in rows))
    candidates = encoder.encode(texts)
    places = []
    for row in rows:
        cosines = candidates @ encoder.encode(row["question"])
        places.append(int((cosines >= cosines[texts.index(row["answer"])]).sum()))
    return np.mean([1 / place if place <= 10 else 0 for place in places]), np.mean([place == 1 for place in places])


@pytest.mark.parametrize("method", ["tsdae", "simcse"])
def test_tuning_is_measured_before_and_after(repository, monkeypatch, capsys, method):
    monkeypatch.setattr(tuning, "LR", 1e-3)  # so that a few steps show
    found = dapt(monkeypatch, capsys, "models/finance", "tuned", "--tune", method, "--steps", "12")
    dapt(monkeypatch, capsys, "models/finance", "plain")
    how = found["tuning"]
    assert (how["text"], how["texts_read"], how["steps"], how["dropout"], how["threads"]) == (
        "data/split/finance/train.jsonl",
        100,
        12,
        0.1,
        1,
    )
    assert how["texts_used"] == len(set(sentences(90, seed=3, longest=20)))  # no test question, no text twice
    assert how["loss_last_tenth"] < how["loss_first_tenth"]
    rows = [json.loads(line) for line in open("data/split/tasks/answer_ranking/test.jsonl")]
    for name, key in (("plain", "before"), ("tuned", "after")):
        of = found[f"answer_ranking_{key}"]
        assert (of["mrr@10"], of["recall@1"]) == pytest.approx(measured(repository / name, rows), abs=0.005)
        assert of["ci95"][0] <= of["mrr@10"] <= of["ci95"][1]
    change = found["answer_ranking_difference"]
    assert change["mrr@10"] == pytest.approx(
        found["answer_ranking_after"]["mrr@10"] - found["answer_ranking_before"]["mrr@10"], abs=2e-4
    )
    assert change["ci95"][0] <= change["mrr@10"] <= change["ci95"][1]
    weights = [load_file(repository / name / "model.safetensors") for name in ("plain", "tuned")]
    assert weights[0].keys() == weights[1].keys()
    assert not torch.equal(*(of["encoder.layer.0.output.dense.weight"] for of in weights))
    assert json.loads((repository / "tuned/figures.json").read_text()) == {
        name: value for name, value in found.items() if name != "folder"
    }


def test_a_tuning_that_makes_a_task_significantly_worse_is_told(capsys):
    for change, ci95 in ((0.1, [0.05, 0.2]), (-0.1, [-0.3, 0.1]), (-0.1, [-0.2, -0.05])):
        embeddings.warn_if_worse("faq", {"mrr@10": change, "ci95": ci95, "p": 0.5})
    told = capsys.readouterr().err
    assert (
        told.startswith("warning: the tuned encoder is significantly worse on faq (mrr@10 -0.100); ")
        and told.count("\n") == 1
    )


@pytest.mark.parametrize("method", ["tsdae", "simcse"])
def test_the_same_seed_gives_the_same_bits_and_dropout_does_not_depend_on_the_models(repository, method):
    """config.json of a model may say that it was trained without dropout; the tuning has its own."""
    without = shutil.copytree(repository / "models/finance", repository / "models/without")
    config = json.loads((without / "config.json").read_text())
    write_json(without / "config.json", config | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0})
    text = repository / "data/split/finance/train.jsonl"
    for name, seed in (("finance", 0), ("without", 0), ("finance", 1)):
        exported(
            repository / "models" / name, repository / f"{name}-{seed}", tune=method, steps=3, text=text, seed=seed
        )
    hashes = [sha256(repository / name / "model.safetensors") for name in ("finance-0", "without-0", "finance-1")]
    assert hashes[0] == hashes[1] != hashes[2]


def test_deleted_words_are_about_three_fifths_and_one_is_always_kept():
    rng = np.random.Generator(np.random.Philox(0))
    words = [f"w{number}" for number in range(2000)]
    kept = tuning.damaged(" ".join(words), rng).split()
    assert kept == [word for word in words if word in set(kept)] and 700 < len(kept) < 900
    assert {tuning.damaged("fever", rng) for _ in range(20)} == {"fever"}


def test_what_cannot_be_tuned_is_refused_and_nothing_is_left(repository, monkeypatch):
    text = repository / "data/split/finance/train.jsonl"
    short = repository / "short.jsonl"
    write_lines(short, [{"text": text} for text in sentences(9)])
    other = publish("DeBERTa-v3", repository / "deberta")
    before = sorted(repository.rglob("*"))
    for model, options, message in (
        ("models/base", {"tune": "simcse"}, "models/base has no text of its own in data/split; name a text"),
        ("models/finance", {"tune": "simcse", "steps": 0}, "--steps is 0, but must be at least 1"),
        ("models/finance", {"tune": "simcse", "seed": -1}, "--seed is -1, but must be from 0"),
        ("models/finance", {"tune": "simcse", "seed": 2**63}, "--seed is 9223372036854775808, but must be from 0"),
        (
            "models/finance",
            {"tune": "tsdae", "text": short},
            "different texts that are no test rows, but a step of tsdae reads 16",
        ),
        (other, {"tune": "tsdae", "text": text}, "of the type deberta-v2, of which transformers has no decoder"),
    ):
        with pytest.raises(UserError, match=message):
            exported(repository / model if model == other else exporting.Path(model), repository / "out", **options)
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match="the package sentence_transformers is not installed; run pip install -r requirements-export"
    ):
        exported(repository / "models/finance", repository / "out", tune="simcse")
    assert sorted(repository.rglob("*")) == before


def test_the_readme_is_a_card_of_the_hubs_with_the_figures_and_its_example_runs(repository, monkeypatch):
    found = exported(exporting.Path("models/finance"), repository / "out", tune="simcse", steps=2)
    card = ModelCard.load(repository / "out/README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("sentence-transformers", "sentence-similarity")
    before, after = (found[f"answer_ranking_{key}"]["mrr@10"] for key in ("before", "after"))
    assert f"| mrr@10 | {before:.3f} | {after:.3f} |" in card.text
    monkeypatch.chdir(repository / "out")
    [(code, _)] = examples(card.text)
    assert printed(code).startswith("tensor([[")
