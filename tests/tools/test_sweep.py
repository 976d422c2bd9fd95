"""Several settings of a training as real experiments, in a clone of a finished repository."""

import json
import sys

import pytest

from dapt.cli import main
from dapt.core import config
from dapt.tools import sweep
from repositories import committed_files, run


@pytest.fixture()
def refused(tmp_path, monkeypatch, capsys):
    """What `dapt sweep …` says when it refuses, in a folder with the committed settings."""
    committed_files(tmp_path, "params.yaml", "profiles", "dvc.yaml")
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["dapt", "sweep", *words])
        assert main() == 2
        return capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    "words, message",
    [
        (["train.lr"], "train.lr is not of the form SETTING=VALUE,VALUE"),
        (["train.lr=1e-3,"], "train.lr=1e-3, is not of the form SETTING=VALUE,VALUE"),
        (["train.keep=[1]"], "train.keep=[1] is not of the form SETTING=VALUE,VALUE"),
        (["finetune.lr=1e-3"], "finetune.lr does not affect a training; a training depends on model, repair, split, train"),
        (["trai.lr=1e-3"], "trai.lr does not affect a training; did you mean train?"),
        (["train.lr.x=1"], "profiles/sample.yaml: train.lr.x: lr is a single value and has no settings below it"),
        (["train.lr=1e-3,1e-3"], "train.lr=1e-3,1e-3: a value is given twice"),
        (["train.lr=1e-3", "train.lr=2e-3"], "train.lr is given twice"),
        (["train.rl=1e-3"], "profiles/sample.yaml with train.rl=1e-3: train.rl: unknown setting; did you mean"),
        (["train.lr=1e-3,-1"], "profiles/sample.yaml with train.lr=-1: train.lr: Input should be greater than 0"),
        (["train.lr=1e-3", "train.batch=32", "train.parts=5"], "with train.lr=1e-3, train.batch=32, train.parts=5: train: batch"),
        (["train.lr=1e-3", "--domain", "finanse"], "has no domain 'finanse'; did you mean finance?"),
        (["train.lr=1e-3", "--jobs", "0"], "--jobs is 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_refused_before_anything_runs(refused, words, message):
    (line,) = refused(*words).splitlines()
    assert line.startswith("dapt sweep: ") and message in line


@pytest.mark.slow
def test_a_sweep_ends_in_a_table_and_its_best_can_be_applied(finished, clone):
    output = run(clone, "dapt", "sweep", "train.lr=1e-5,5e-3", "train.schedule=linear", "--jobs", "2")
    assert not run(clone, "git", "status", "--porcelain")
    table = [line.strip("| ").split(" | ") for line in output.splitlines() if line.startswith("| biomed-lr-")]
    assert [row[:3] for row in table] == [
        ["biomed-lr-1e-5-schedule-linear", "1e-5", "linear"],
        ["biomed-lr-5e-3-schedule-linear", "5e-3", "linear"],
    ]
    assert float(table[0][3]) > float(table[1][3]) and all(float(row[4].replace(",", "")) > 0 for row in table)
    assert output.splitlines()[-1].startswith("next: dvc exp apply biomed-lr-5e-3-schedule-linear")
    run(clone, "dvc", "exp", "apply", "biomed-lr-5e-3-schedule-linear")
    trained = json.loads((clone / "metrics/train/biomed.json").read_text())
    assert f"{trained['valid_loss']:.4f}" == table[1][3]
    before, after = (config.load(folder).active for folder in (finished, clone))
    assert after == before.model_copy(
        update={"train": before.train.model_copy(update={"lr": 5e-3, "schedule": "linear"})}
    )
    assert (clone / "params.yaml").read_text() == (finished / "params.yaml").read_text()


def test_the_name_of_an_experiment_is_not_another_s(monkeypatch):
    monkeypatch.setattr(sweep.experiments, "there", lambda name: ["taken"] if name == "biomed-seed-1" else [])
    assert sweep.name_of("biomed", [("train.seed", "1")]) == "biomed-seed-1.2"
