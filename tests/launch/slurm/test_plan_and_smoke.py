"""`dapt launch --plan`, `--smoke` and `--partition`, and `dapt doctor`, on a real Slurm."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dapt.core.files import sha256
from dapt.launch import cluster as settings_file
from dapt.launch import plan
from dapt.telling.errors import UserError
from repositories import committed_files, ground_in, replaced
from slurm_runs import busy

DAPT = Path(sys.executable).parent / "dapt"


@pytest.fixture()
def place(cluster, tmp_path, model_folder, tokens, special, monkeypatch) -> Path:
    """Ready to train, with the committed settings, as the current folder."""
    ground_in(tmp_path, model_folder, tokens, special, {"train.steps": 1500, "train.keep": [1500]})
    committed_files(tmp_path, "slurm/cluster.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture()
def taken(cluster):
    """The nodes' first 40 minutes are taken by a job in gpu-preempt, which one in gpu may push aside."""
    with busy(cluster, "--partition=gpu-preempt", "--time=40"):
        yield


def dapt(*arguments: str, code: int = 0, **variables: str) -> str:
    done = subprocess.run(
        [DAPT, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | variables
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def settings(**values) -> settings_file.Cluster:
    return settings_file.load().model_copy(update=values)


def test_the_plan_has_a_row_for_each_partition_and_gpu_and_queues_nothing(place, cluster):
    path = place / "slurm/cluster.yaml"
    path.write_text(replaced(path.read_text(), "constraint: 2080ti ", "constraint: 2080ti|a100 "))
    rows = [re.split(r"  +", line) for line in dapt("launch", "--plan", "biomed").splitlines()]
    assert rows[0] == ["partition", "GPU", "billing weights", "start"]
    assert [row[:3] for row in rows[1:5]] == [
        ["gpu", "2080ti", "-"],
        ["gpu", "a100", "-"],
        ["gpu-preempt", "2080ti", "-"],
        ["gpu-preempt", "a100", "-"],
    ]
    for row in (rows[1], rows[3]):
        assert abs(datetime.fromisoformat(row[3]) - datetime.now(UTC)) < timedelta(minutes=5)
    for row in (rows[2], rows[4]):
        assert row[3] == "refused: no node has the constraint 'a100'"
    assert [row[0:2] for row in rows[6:9]] == [
        ["stage", "GPU"],
        ["train@biomed", "2080ti"],
        ["train@biomed", "a100"],
    ]
    assert cluster.ask("squeue", "-h") == ""


def test_a_busy_partition_starts_when_its_job_ends_and_auto_takes_the_other(place, taken):
    answer = plan.ask(settings(), "gpu-preempt", "UP")
    assert timedelta(minutes=30) < datetime.fromisoformat(answer.start) - datetime.now(UTC) < timedelta(minutes=50)
    assert plan.choose("auto", settings(partitions=["gpu-preempt", "gpu"])).partitions == ["gpu"]


def test_starts_in_the_hour_that_clocks_repeat_are_in_order(place, monkeypatch):
    """In the night in which Berlin's daylight-saving time ends, twenty minutes lie between 02:50 and 02:10."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    now = datetime.now(UTC)
    sundays = (datetime(year, 10, day, 1, tzinfo=UTC) for year in (now.year, now.year + 1) for day in range(25, 32))
    back = next(day for day in sundays if day.weekday() == 6 and day > now + timedelta(hours=1))
    answers = {}
    for name, time in (("winter", back + timedelta(minutes=10)), ("summer", back - timedelta(minutes=10))):
        answers[name] = plan.ask(settings(options=[f"--begin=uts{time.timestamp():.0f}"]), "gpu", "UP")
    clocks = [answers[name].start.partition("T")[2] for name in ("summer", "winter")]
    assert [clock[:3] for clock in clocks] == ["02:", "02:"] and clocks[0] > clocks[1], answers
    starts = [datetime.fromisoformat(answers[name].start) for name in ("summer", "winter")]
    assert timedelta(minutes=19) < starts[1] - starts[0] < timedelta(minutes=21)
    assert plan.soonest(answers) == "summer"


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"memory": "900G"}, "memory 900G"),
        ({"gpus": 3}, "3 GPUs each"),
        ({"nodes": 9}, "a job with 9 nodes is not allowed in gpu"),
        ({"time": "30-0"}, "the time limit 30-0 is not allowed in gpu"),
        ({"partition": "gpus"}, "there is no partition gpus"),
    ],
)
def test_what_slurm_would_refuse_is_said_in_words(place, changed, words):
    answer = plan.ask(settings(), **{"partition": "gpu", "state": "UP", **changed})
    assert answer.start is None and words in answer.refusal


def test_auto_leaves_out_partitions_that_cannot_run_it(place, cluster):
    assert plan.choose("auto", settings()).partitions == ["gpu"]
    assert plan.choose("auto", settings(partitions=["gpus", "gpu-preempt"])).partitions == ["gpu-preempt"]
    with pytest.raises(UserError, match="no partition can run the job: gpu: .*1080ti.*; gpu-preempt: .*1080ti"):
        plan.choose("auto", settings(constraint="1080ti"))
    cluster.ask("scontrol", "update", "partitionname=gpu", "state=down")  # for which --test-only has a start
    try:
        assert plan.choose("auto", settings()).partitions == ["gpu-preempt"]
    finally:
        cluster.ask("scontrol", "update", "partitionname=gpu", "state=up")


def test_billing_weights_are_shown_where_slurm_has_some(place, cluster):
    weights = "CPU=1.0,Mem=0.25G"
    cluster.ask("scontrol", "update", "partitionname=gpu", f"TRESBillingWeights={weights}")
    rows = [line.split()[:3] for line in plan.starts(settings()).splitlines()[1:]]
    assert rows == [["gpu", "2080ti", weights], ["gpu-preempt", "2080ti", "-"]]


def test_a_controller_that_is_away_is_said_in_a_line(place, cluster):
    cluster.end("slurmctld")
    try:
        said = dapt("launch", "--plan", code=2)
        facts, local = (json.loads(dapt("doctor", "--json", DAPT_LAUNCHER=launcher)) for launcher in ("slurm", "local"))
    finally:
        cluster.start_controller()
    assert said.startswith("dapt launch: Slurm's controller does not answer;") and said.count("\n") == 1
    assert "Slurm's controller does not answer (see `scontrol ping`); a training will wait for it" in facts["problems"]
    assert local["slurm"] == "srun is installed, but no controller answers" and not local["problems"]
    cluster.settle()


def test_a_smoke_run_goes_through_the_queue_and_leaves_the_repository_as_it_is(place):
    before = {path: sha256(place / path) for path in ("models", "data", "params.yaml", "profiles", "slurm")}
    said = dapt("launch", "--smoke", "biomed", "--partition", "auto", DAPT_LAUNCHER="slurm")
    assert "slurm: partition gpu has the earliest start\n" in said and re.search(r"biomed: job \d+ on n\S+-\d\n", said)
    assert re.search(r"biomed: 10 steps, [\d,]+ tokens per second, fp32 on 1 × cpu, loss on valid", said)
    assert before == {path: sha256(place / path) for path in before} and not (place / "metrics").exists()
    assert sorted(path.name for path in (place / "logs").iterdir()) == ["smoke-biomed.json", "smoke-biomed.log"]
    speed = json.loads((place / "logs/smoke-biomed.json").read_text())["tokens_per_second"]
    assert f"biomed: hours from {speed:,} tokens per second, measured by dapt launch --smoke on 1 × cpu" in dapt(
        "launch", "--plan", "biomed"
    )


def test_a_wrong_setting_costs_the_smoke_run_seconds(place):
    path = place / "slurm/cluster.yaml"
    path.write_text(replaced(path.read_text(), "memory: 64G", "memory: 900G"))
    said = dapt("launch", "--smoke", "biomed", code=2, DAPT_LAUNCHER="slurm")
    assert "dapt train: Slurm refuses the job: no node of gpu, gpu-preempt has 900G of memory" in said
    assert said.splitlines()[-1] == "biomed: the ten steps failed with exit code 2; log: logs/smoke-biomed.log"


def test_the_doctor_sees_the_cluster(place):
    said = dapt("doctor")
    assert re.search(r"^slurm: slurm\S* [\d.]+, the controller answers$", said, re.M)
    assert "gpu up: 3 nodes, gpu:2080ti:2, features 2080ti" in said and said.endswith("no problems\n")
    path = place / "slurm/cluster.yaml"
    path.write_text(replaced(path.read_text(), "[gpu, gpu-preempt]", "[gpu, night]"))
    assert "problem: partitions in slurm/cluster.yaml has night, which does not exist" in dapt("doctor")
