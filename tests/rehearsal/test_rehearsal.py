"""The short form of `make rehearse`: the whole profile `full` with small models and few rows, on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repositories import ROOT

STAGES = {  # subcommand → how many stages it has in the rehearsal; an experiment repeats check and summary
    "check": 2,
    "fetch": 9,  # one is refused first
    "clean": 7,
    "validate": 1,
    "split": 1,
    "tokenize": 4,
    "base": 1,
    "train": 4,
    "evaluate": 5,
    "finetune": 8,
    "baseline": 4,
    "compare": 1,
    "report": 1,
    "summary": 2,
}


def rehearsed(folder: Path, *words: str) -> tuple[int, list[dict], str]:
    """Exit code, table and messages of a rehearsal."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "rehearsal.rehearse",
            folder,
            "--scale",
            "0.02",
            "--small",
            "--launcher",
            "local",
            *words,
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}/src:{ROOT}/tests/helpers"},
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("whole") / "rehearsal"


@pytest.fixture(scope="module")
def table(folder) -> list[dict]:
    code, lines, said = rehearsed(folder)
    assert code == 0, said
    return lines


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_the_profile_full_finds_is_what_was_built(table):
    checks = {line["check"]: line["ok"] for line in table if "check" in line}
    assert all(checks.values()) and len([name for name in checks if name.startswith("rows of ")]) == 7
    assert {
        "the hub refused requests, and they were repeated",
        "texts of finance_mlm2 in finance_mlm1",
        "repair of the base",
        "stages that ran again after dapt launch",
        "domains and tasks missing from the report",
        "pulled files that differ",
        "the gated data set is refused in one line",
        "the damaged file was not pulled",
        "stages that the experiment ran",
        "settings on the experiment's branch",
        "the pull named the folder of the damaged file",
    } <= checks.keys()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_each_stage_and_step_is_measured_and_nothing_is_left(table, folder):
    stages = [line["stage"].split()[0] for line in table if "stage" in line]
    assert {name: stages.count(name) for name in STAGES} == STAGES
    for line in table:
        if "stage" in line:
            assert line["seconds"] >= 0 and line["memory_mb"] > 20 and line["written_mb"] >= 0 and line["on"] == "here"
    steps = [line for line in table if "step" in line]
    assert all(line["seconds"] >= 0 for line in steps) and all(line["disk_mb"] > 0 for line in steps[:-1])
    assert steps[-1]["step"] == "everything" and not folder.exists()


@pytest.mark.slow
def test_a_folder_with_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").touch()
    code, lines, said = rehearsed(tmp_path)
    assert (code, lines) == (2, []) and f"{tmp_path} is not empty" in said and (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    "words, command",
    [
        ("python -m dapt.launch.node biomed", "dapt train biomed"),
        ("python -m dapt evaluate base", "dapt evaluate base"),
        ("python .venv/bin/dapt launch --at-once 3", "dapt launch --at-once 3"),
        ("python -m dvc --wait-for-lock repro -s split", "dvc --wait-for-lock repro -s split"),
        ("python -m dapt.launch.conductor 3", ""),
        ("python", ""),
    ],
)
def test_commands_that_are_measured(words, command):
    from rehearsal.measured.sitecustomize import command_of

    assert command_of(words.split()) == command.split()
