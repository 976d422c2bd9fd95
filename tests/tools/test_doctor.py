"""`dapt doctor`: the decisions from facts, and the command in a repository."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dapt.tools import doctor
from dapt.training.optimization.device import Device
from repositories import ROOT, committed_files, ground_in

DAPT = Path(sys.executable).parent / "dapt"


@pytest.mark.parametrize(
    "cuda, gpu, driver, problem",
    [
        (None, False, False, None),
        (None, False, True, "this torch is a CPU build"),
        ("12.6", True, True, None),
        ("12.6", False, False, None),
        ("12.6", False, True, "whether the driver is older than CUDA 12.6"),
    ],
)
def test_torch_and_the_driver_must_fit(cuda, gpu, driver, problem):
    fact = doctor.build("2.13.0", cuda, ("sm_75", "sm_80"), gpu, driver)
    assert ("sm_75" in fact.text) == bool(cuda)
    assert fact.problem is None if problem is None else problem in fact.problem


def test_a_card_without_code_and_a_precision_that_is_not_there_are_problems():
    old = Device("cuda", "GTX 1080 Ti", bf16=False, fp16=True, capability=(6, 1), built_for=("sm_75", "sm_80"))
    assert "(7.5 and up)" in doctor.device(old, "auto")[1].problem
    turing = Device("cuda", "RTX 2080 Ti", bf16=False, fp16=True, capability=(7, 5), built_for=("sm_75", "sm_80"))
    assert doctor.device(turing, "auto")[1] == doctor.Fact("precision", "fp16 (train.precision: auto)")
    assert "train.precision is bf16" in doctor.device(turing, "bf16")[1].problem


def test_more_threads_than_cores_are_a_problem():
    assert doctor.threads(2, 2).problem is None and "only 2 cores are available" in doctor.threads(4, 2).problem


@pytest.fixture()
def ground(tmp_path, model_folder, tokens, special) -> Path:
    (tmp_path / "ground").mkdir()
    return ground_in(tmp_path / "ground", model_folder, tokens, special, {})


def look(folder: Path, *options: str, **variables: str) -> str:
    only_dvc = folder.parent / "bin"
    only_dvc.mkdir(exist_ok=True)
    if not (only_dvc / "dvc").exists():
        (only_dvc / "dvc").symlink_to(DAPT.parent / "dvc")
    variables |= {"PATH": str(only_dvc), "DAPT_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([DAPT, "doctor", *options], cwd=folder, text=True, stdout=subprocess.PIPE, env=variables)
    assert done.returncode == 0
    return done.stdout


def test_without_slurm_or_gpu_it_names_what_there_is(ground):
    said = look(ground).splitlines()
    assert said[0].startswith(f"torch: {torch.__version__}")
    assert {"slurm: no srun on PATH", "launcher: local (no slurm/cluster.yaml)"} <= set(said)
    assert "a training writes: 0.0 GB to the repository" in said
    assert any(line.startswith("disk of checkpoints: ") for line in said) and said[-1] == "no problems"


def test_problems_are_in_the_json_with_how_to_mend_them(ground):
    committed_files(ground, "slurm/cluster.yaml")
    found = json.loads(look(ground, "--json", DAPT_LAUNCHER="slurm"))
    assert found["launcher"] == "slurm (DAPT_LAUNCHER)"
    assert found["problems"] == ["srun is not on PATH; use a login node of the cluster, or set DAPT_LAUNCHER=local"]


@pytest.mark.parametrize(
    "file, words",
    [
        ("params.yaml", "unknown setting"),
        ("profiles/full.yaml", "unknown setting"),
        ("slurm/cluster.yaml", "unknown setting"),
    ],
)
def test_wrong_settings_are_a_problem_and_the_rest_is_looked_at(ground, file, words):
    committed_files(ground, "slurm/cluster.yaml")
    with open(ground / file, "a") as text:
        text.write("\nnonsense: 1\n")
    found = json.loads(look(ground, "--json"))
    assert any(file in problem and words in problem for problem in found["problems"])
    assert {"torch", "dvc_remote"} <= set(found) and ("launcher" in found or "precision" in found)
