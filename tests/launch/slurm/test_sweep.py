"""`dvc exp run --queue` and `dapt sweep` through a real Slurm: real git, real DVC, two learning rates, each a job of its own."""

import json
import re

import pytest

from dapt.telling import events
from repositories import run
from slurm_runs import only_training

RATES = [0.001, 0.003]


@pytest.mark.slow
def test_each_queued_experiment_is_a_job_with_the_code_of_its_own_folder(ground, cluster, tmp_path):
    folder = only_training(tmp_path / "repository", ground, 20)
    program = folder / "src/dapt/launch/node.py"
    program.write_text(program.read_text().replace("PATIENCE =", 'print("code:", __file__)\nPATIENCE ='))
    run(folder, "git", "commit", "-qam", "says where it is")
    run(
        folder,
        "dvc",
        "exp",
        "run",
        "--queue",
        "-S",
        f"profiles/sample.yaml:train.lr={','.join(map(str, RATES))}",
        "--pull",
        "--allow-missing",
        "train@biomed",
    )
    said = run(folder, "dvc", "exp", "run", "--run-all", DAPT_LAUNCHER="slurm")
    assert len(set(re.findall(r"slurm: job (\d+) is done", said))) == len(RATES), said
    assert len(set(re.findall(rf"code: {folder}/(\.dvc/tmp/exps/\w+)/src/dapt/launch/node.py", said))) == len(RATES)

    shown = json.loads(run(folder, "dvc", "exp", "show", "--json"))
    found = [experiment["revs"][0]["data"] for experiment in shown[1]["experiments"]]
    models = {
        one["params"]["profiles/sample.yaml"]["data"]["train"]["lr"]: one["metrics"]["metrics/train/biomed.json"][
            "data"
        ]["model_sha256"]
        for one in found
    }
    assert sorted(models) == RATES and len(set(models.values())) == len(RATES)


@pytest.mark.slow
def test_each_training_of_a_sweep_is_a_job(clone, cluster):
    said = run(clone, "dapt", "sweep", "train.lr=0.001,0.002,0.003", "--jobs", "2", DAPT_LAUNCHER="slurm")
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| biomed-lr-")]
    assert len(rows) == 3 and all(float(row[2]) > 0 for row in rows)
    jobs = {
        record["job"] for path in (clone / "logs").glob("*.jsonl") for record in events.read(path) if "job" in record
    }
    assert len(jobs) == 2 and sum(row[3] == "not trained again |" for row in rows) == 1  # 0.001 is the profile's own
