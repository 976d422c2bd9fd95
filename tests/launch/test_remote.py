"""DVC's default remote: none, a folder, one that is not there, one that nobody answers for."""

import subprocess
from pathlib import Path

import pytest

from dapt.launch import remote
from repositories import run


@pytest.fixture()
def repository(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    monkeypatch.chdir(folder)
    return folder


def test_outside_of_a_dvc_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert remote.look() == remote.Remote("none: this is not a DVC repository")


def test_no_remote_is_a_fact_and_no_problem(repository):
    assert remote.look().text.startswith("none: models stay on this machine") and remote.look().problem is None


def test_a_folder_is_reachable_or_not_there(repository, tmp_path):
    (tmp_path / "share").mkdir()
    run(repository, "dvc", "remote", "add", "-d", "shared", str(tmp_path / "share"))
    assert remote.look() == remote.Remote("shared: reachable")
    (tmp_path / "share").rmdir()
    found = remote.look()
    assert found.text == "shared: not found" and f"nothing at {tmp_path / 'share'}" in found.problem


@pytest.mark.parametrize(
    "url, text, problem",
    [  # the discard port: nobody listens
        ("http://127.0.0.1:9/store", "far: not found", "or does not answer"),  # its client can't tell the two
        ("ssh://127.0.0.1:9/store", "far: not reachable", "does not answer ("),
    ],
)
def test_a_server_that_does_not_answer_is_named(repository, url, text, problem):
    run(repository, "dvc", "remote", "add", "-d", "far", url)
    found = remote.look()
    assert found.text == text and "DVC's remote far" in found.problem and problem in found.problem


def test_it_waits_no_longer_than_it_says(repository, monkeypatch):
    def hang(*arguments, timeout, **options):
        raise subprocess.TimeoutExpired("dapt.launch.remote", timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert "has not answered within 20 s" in remote.look().problem
