"""What newcomers do in their first hour, by the README's own lines: each their text, their task, their base, their sweep and a
teammate's clone. No file of settings is edited by hand."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import BertForPreTraining

from published import BERT
from readme import command, next_command
from repositories import run
from small_models import write_model
from toy_pipeline import texts


def figures(folder: Path, name: str) -> dict:
    return json.loads((folder / f"metrics/{name}.json").read_text())


def test_text_of_ones_own(clone):
    (clone / "data/local/law").mkdir()
    sections = [f"Section {number}.\n{text}\n\n" for number, text in enumerate(texts("general", 300, seed=7))]
    (clone / "data/local/law/all.txt").write_text("".join(sections))
    run(clone, *next_command(run(clone, *command("dapt add domain law data/local/law"))))
    assert figures(clone, "eval/law")["law"]["loss"] > 0
    run(clone, *command("dapt remove domain law"))
    assert not run(clone, "git", "status", "--porcelain", "params.yaml", "profiles", "dvc.yaml")


def test_a_task_of_ones_own(clone):
    rows = [f"{text},{'good' if 'profit' in text else 'other'}\n" for text in texts("finance", 400, seed=3)]
    (clone / "data/local/sentences.csv").write_text("".join(["sentence,sentiment\n", *rows]))
    said = run(clone, *command("dapt add task sentiment"))
    assert "400 of 400 rows are kept" in said and "labels: other" in said
    run(clone, *next_command(said))
    encoder, words = figures(clone, "tasks/sentiment/base"), figures(clone, "tasks/sentiment/tfidf")
    assert encoder["rows"]["test"] == words["rows"]["test"] > 10 and words["mean"] > 0.9
    assert (clone / "models/tasks/sentiment/base/README.md").is_file()
    run(clone, *command("dapt remove task sentiment"))
    assert not run(clone, "git", "status", "--porcelain", "params.yaml", "profiles")


@pytest.mark.slow
def test_a_base_of_ones_own_in_an_old_layout(clone):
    """As BioBERT is published: vocab.txt, a pickled checkpoint with the heads of its pre-training."""
    folder = clone / "data/local/mine"
    vocabulary = json.loads((clone / "toy/base/tokenizer.json").read_text())["model"]["vocab"]
    write_model(folder, clone / "toy/base", len(vocabulary))
    for path in folder.glob("token*"):
        path.unlink()
    assert set(BERT) < set(vocabulary)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.get)))
    network = BertForPreTraining.from_pretrained(folder)
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    said = run(clone, *command("dapt add base mine"))
    assert "mine: bert, " in said
    run(clone, *next_command(said))
    assert (clone / "models/base/README.md").read_text().count("mine") > 0
    assert (clone / "data/raw/model/base/vocab.txt").is_file()


def test_a_teammate_pulls_what_was_made(clone, tmp_path):
    shared = str(tmp_path / "shared")
    for start in ("dvc remote add -d shared", "dvc remote modify shared", "dvc push"):
        run(clone, *(shared if word == "/path/to/folder" else word for word in command(start)))
    run(clone, "git", "commit", "-qam", "where the models are")
    teammate = tmp_path / "teammate"
    run(tmp_path, "git", "clone", "-q", str(clone), str(teammate))
    run(teammate, *command("dvc pull"))
    for name in ("models/biomed/model.safetensors", "reports/index.html"):
        assert (teammate / name).read_bytes() == (clone / name).read_bytes()
    shutil.rmtree(teammate / "toy")  # what it was made of is not needed
    assert "Data and pipelines are up to date." in run(teammate, *command("dvc repro"))
