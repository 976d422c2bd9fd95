"""`dapt launch --smoke` on this machine; tests/slurm sends it through a real Slurm."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dapt.core.config import Train
from dapt.core.files import sha256
from dapt.launch import cluster, smoke
from repositories import ROOT, ground_in


def test_ten_steps_leave_the_repository_as_it_is(tmp_path, model_folder, tokens, special):
    ground = ground_in(
        tmp_path, model_folder, tokens, special, {"train.steps": 1500, "train.valid_every": 500, "train.keep": [1500]}
    )
    before = sha256(ground)
    done = run(ground)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    figures = r"[\d,]+ tokens per second, fp32 on 1 × cpu, loss on valid [\d.]+ → [\d.]+"
    assert re.fullmatch(f"biomed: 10 steps, {figures}", last)
    assert "biomed: step 0, loss on valid" in done.stdout
    found = json.loads((ground / "logs/smoke-biomed.json").read_text())
    assert found["tokens_per_second"] > 0 and f"{found['valid_loss']:.4f}" == last.split()[-1]
    assert sorted(path.name for path in (ground / "logs").iterdir()) == ["smoke-biomed.json", "smoke-biomed.log"]
    for path in (ground / "logs").iterdir():
        path.unlink()
    (ground / "logs").rmdir()
    assert sha256(ground) == before


def test_the_first_domain_that_fails_ends_it_with_its_code_and_its_log(tmp_path, model_folder, tokens, special):
    ground = ground_in(tmp_path, model_folder, tokens, special, {})
    done = run(ground, "finance", "biomed")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "finance: the ten steps failed with exit code 2; log: logs/smoke-finance.log"
    assert [path.name for path in (ground / "logs").iterdir()] == ["smoke-finance.log"]
    assert "data/tokens/finance" in (ground / "logs/smoke-finance.log").read_text()


def run(ground: Path, *domains: str) -> subprocess.CompletedProcess:
    command = [Path(sys.executable).parent / "dapt", "launch", "--smoke", *(domains or ["biomed"])]
    return subprocess.run(command, cwd=ground, capture_output=True, text=True)


@pytest.mark.parametrize("length", [{"steps": 2000}, {"epochs": 3.0}, {"tokens": 10**9}])
def test_the_shortened_settings_are_valid_and_keep_what_makes_a_step(length):
    train = {
        "batch": 8,
        "window": 128,
        "lr": 5e-5,
        "warmup": 100,
        "weight_decay": 0.01,
        "clip": 1.0,
        "mask": 0.15,
        "dropout": 0.0,
        "seed": 0,
        "threads": 2,
        "precision": "auto",
        "valid_every": 250,
        "valid_windows": 512,
        "save_every": 500,
        "keep": [1500],
        **length,
    }
    short = Train.model_validate(smoke.shortened(train))
    assert short.steps == 10 and (short.batch, short.window, short.threads) == (8, 128, 2)


@pytest.mark.parametrize("time, result", [("3:00:00", "10"), ("5", "5"), ("1-0", "10")])
def test_the_job_is_short(time, result):
    settings = cluster.load(ROOT / "slurm/cluster.yaml").model_copy(update={"time": time})
    assert smoke.hurried(settings).time == result
