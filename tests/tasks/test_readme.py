"""What stands beside a fine-tuned model: how another program reads it."""

import json

import pytest
from huggingface_hub import ModelCard

from dapt.model.tokenizer import load_tokenizer
from examples import examples, printed

KINDS = {
    "finance_classification": ("transformers", "text-classification"),
    "multiple_choice": ("transformers", "multiple-choice"),
    "answer_ranking": ("sentence-transformers", "sentence-similarity"),
}


@pytest.mark.parametrize("task", KINDS)
def test_the_readme_is_a_card_of_the_hubs_whose_example_runs(fine_tuned, task, monkeypatch):
    monkeypatch.chdir(fine_tuned)
    found = ModelCard.load(f"models/tasks/{task}/base/README.md")
    assert (found.data.library_name, found.data.pipeline_tag) == KINDS[task]
    assert found.data.model_name == f"{task}, base" and "What is longer than 24 tokens was cut." in found.text
    [(code, _)] = examples(found.text)
    answers = {
        "finance_classification": ("bank ", "fever "),
        "multiple_choice": ("one option\n", "another option\n"),
        "answer_ranking": ("one answer\n", "another answer\n"),
    }
    assert printed(code).startswith(answers[task])


def test_a_classifiers_labels_and_tokenizer_are_in_its_folder(fine_tuned, model_folder):
    folder = fine_tuned / "models/tasks/finance_classification/base"
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "bank", "1": "fever"} and config["label2id"] == {"bank": 0, "fever": 1}
    assert load_tokenizer(folder)[0].to_str() == load_tokenizer(model_folder)[0].to_str()
