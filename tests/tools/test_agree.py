"""Figures of the workspace against the committed ones, in a git repository with the committed metrics."""

import json
import sys
from pathlib import Path

import pytest

from dapt.cli import main
from repositories import committed_files, run


@pytest.fixture()
def repository(tmp_path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    committed_files(folder, "params.yaml", "profiles", "dvc.yaml", "metrics")
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "start")
    return folder


@pytest.fixture()
def agree(repository, monkeypatch, capsys):
    def call() -> str:
        monkeypatch.chdir(repository)
        monkeypatch.setattr(sys, "argv", ["dapt", "agree"])
        assert main() == 0
        return capsys.readouterr().out

    return call


def add(path: Path, by: float, *keys: str) -> None:
    values = json.loads(path.read_text())
    *above, last = keys
    at = values
    for key in above:
        at = at[key]
    at[last] += by
    path.write_text(json.dumps(values))


def test_the_committed_figures_are_the_committed_ones(agree):
    assert agree() == "The metrics are identical to the committed ones.\n"


def test_other_last_digits_agree_and_how_far_apart_they_are_is_said(repository, agree):
    add(repository / "metrics/eval/biomed.json", 0.0004, "finance", "loss")
    add(repository / "metrics/eval/finance.json", -0.0003, "finance", "loss")
    add(repository / "metrics/tasks/answer_ranking/base.json", -0.0013, "mean")
    said = agree()
    assert said.startswith(
        "The metrics agree with the committed ones: losses differ by at most 0.0004, task metrics differ by at most 0.0013,"
    )
    assert "`git commit -a` keeps yours" in said


def test_a_figure_outside_of_its_interval_is_named(repository, agree):
    add(repository / "metrics/eval/biomed.json", 0.5, "biomed", "loss")
    said = agree()
    assert "1 of " in said and "outside the 95 % intervals" in said
    assert "metrics/eval/biomed.json: biomed 3.9181 → 4.4181" in said


def test_a_difference_beside_the_figures_is_no_other_figure(repository, agree):
    add(repository / "metrics/train/biomed.json", 0.01, "last_loss")
    assert agree().startswith("The metrics agree with the committed ones: losses differ by at most 0.0000")


def test_other_settings_are_not_compared_nor_is_what_nobody_committed(repository, agree):
    path = repository / "params.yaml"
    path.write_text(path.read_text().replace("domain: biomed", "domain: finance"))
    assert agree().startswith("Settings or code differ from the commit")
    run(repository, "git", "rm", "-rq", "metrics")
    run(repository, "git", "commit", "-qam", "no figures")
    assert agree() == "No metrics are committed yet; commit yours with `git commit -a`.\n"


def test_a_folder_without_git_is_refused_in_a_line(tmp_path):
    committed_files(tmp_path, "params.yaml", "profiles", "dvc.yaml")
    (line,) = run(tmp_path, "dapt", "agree", code=2).splitlines()
    assert line.startswith("dapt agree: git diff failed (")
