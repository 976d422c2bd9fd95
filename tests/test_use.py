"""docs/use.md: its examples run on toy models, and on the models of the committed run they print what the page says."""

import json
import shutil

import pytest

from dapt.core.files import sha256
from examples import examples, printed
from repositories import ROOT, committed_text

EXAMPLES = examples((ROOT / "docs/use.md").read_text(encoding="utf-8"))
NAMES = {"finance_classification": "finance", "multiple_choice": "biomed", "answer_ranking": "finance"}


@pytest.fixture(scope="module")
def toys(fine_tuned, tmp_path_factory):
    """The toys under the names of the models on the page."""
    folder = tmp_path_factory.mktemp("use")
    shutil.copytree(fine_tuned / "models/biomed", folder / "models/biomed")
    for task, model in NAMES.items():
        shutil.copytree(fine_tuned / f"models/tasks/{task}/base", folder / f"models/tasks/{task}/{model}")
    return folder


def of_the_committed_run() -> bool:
    """Whether the models in this clone are those whose output the page shows."""
    weights = ROOT / "models/biomed/model.safetensors"
    committed = json.loads(committed_text("metrics/train/biomed.json"))["model_sha256"]
    return weights.is_file() and sha256(weights) == committed and (ROOT / "models/tasks").is_dir()


def test_every_example_prints_as_many_lines_as_the_page_shows(toys, monkeypatch):
    monkeypatch.chdir(toys)
    assert len(EXAMPLES) == 6
    for code, shown in EXAMPLES:
        assert len(printed(code).splitlines()) == len(shown.splitlines()) > 0, code


def test_both_ways_to_vectors_give_the_same(toys, monkeypatch):
    monkeypatch.chdir(toys)
    one, other = (printed(code) for code, _ in EXAMPLES if "normalize" in code)
    assert one == other


@pytest.mark.skipif(not of_the_committed_run(), reason="needs the models of the committed run: dvc pull")
@pytest.mark.parametrize("code, shown", EXAMPLES)
def test_the_models_of_the_committed_run_print_what_the_page_shows(code, shown, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert printed(code) == shown
