"""The plan's pure parts; tests/slurm asks a real Slurm."""

import subprocess
import sys
from pathlib import Path

import pytest

from cluster_settings import SETTINGS
from dapt.core import config
from dapt.launch import estimates, plan, slurm_answers
from dapt.launch.plan import Answer
from dapt.telling.errors import UserError
from repositories import ROOT, committed_files, ground_in


@pytest.mark.parametrize(
    "said, answer",
    [  # as Slurm 22.05 said it
        (
            "srun: Job 8 to start at 2026-11-24T19:34:17 using 2 processors on nodes n1 in partition gpu\n",
            Answer(start="2026-11-24T19:34:17"),
        ),
        ("allocation failure: Invalid feature specification\n", Answer(refusal="no node has the constraint '2080ti'")),
        (
            "srun: error: invalid partition specified: gpux\nallocation failure: Invalid partition name specified\n",
            Answer(refusal="there is no partition gpu, gpu-preempt"),
        ),
        ("allocation failure: something new\n", Answer(refusal="something new")),
        ("", Answer(refusal="no word of why")),
    ],
)
def test_slurms_answer_is_a_start_or_a_refusal_in_words(said, answer):
    assert plan.read(said, SETTINGS) == answer


def test_a_controller_that_is_away_is_no_refusal():
    with pytest.raises(UserError, match="does not answer"):
        plan.read("allocation failure: Unable to contact slurm controller (connect failure)\n", SETTINGS)


def test_the_soonest_of_those_that_can_run_it():
    soon, late, never = Answer("2026-01-31T09:30:00"), Answer("2026-02-01T08:00:00"), Answer(refusal="too much memory")
    assert plan.soonest({"a": never, "b": late, "c": soon, "d": soon}) == "c"
    with pytest.raises(UserError, match="no partition can run the job: a: too much memory; b: too much memory"):
        plan.soonest({"a": never, "b": never})


def test_what_a_partition_is_is_read_where_slurm_shows_it():
    said = (
        "PartitionName=gpu AllowGroups=ALL State=UP TRES=cpu=96,billing=96 TRESBillingWeights=CPU=1.0,GRES/gpu=8\n"
        "PartitionName=cpu AllowGroups=ALL State=DOWN TRES=cpu=96,billing=96\n"
    )
    assert slurm_answers.of_partitions(said, "TRESBillingWeights") == {"gpu": "CPU=1.0,GRES/gpu=8"}
    assert slurm_answers.of_partitions(said, "State") == {"gpu": "UP", "cpu": "DOWN"}


@pytest.mark.parametrize(
    "time, seconds",
    [("5", 300), ("5:30", 330), ("1:00:00", 3600), ("2-0", 172800), ("1-1:30", 91800), ("1-0:0:7", 86407)],
)
def test_slurms_times(time, seconds):
    assert plan.seconds(time) == seconds


def test_a_name_is_taken_as_it_is_and_none_changes_nothing():
    assert plan.choose("cpu", SETTINGS).partitions == ["cpu"] and plan.choose(None, SETTINGS) is SETTINGS


@pytest.fixture()
def ground(tmp_path, model_folder, tokens, special, monkeypatch) -> Path:
    monkeypatch.chdir(ground_in(tmp_path, model_folder, tokens, special, {"train.steps": 100}))
    return tmp_path


def test_hours_are_those_of_the_work_or_those_measured_through_slurm(ground):
    train = config.load().active.train
    work = estimates.flops(
        estimates.model_in(Path("models/base")), train, estimates.text_in(Path("data/tokens/biomed"))
    )
    table, remarks = plan.requirements(["biomed"], SETTINGS)
    assert "< 0.01" in table and "biomed: hours are an estimate, at 25% of the card's peak" in remarks[0]
    slow = plan.hours(
        estimates.model_in(Path("models/base")), train, estimates.text_in(Path("data/tokens/biomed")), 1.0, 1
    )
    assert slow * 3600 * 0.25e12 == pytest.approx(work)
    (ground / "logs").mkdir()
    measured = ground / "logs/smoke-biomed.json"
    measured.write_text('{"launcher": "local", "tokens_per_second": 1, "device": "1 × cpu"}')
    assert plan.requirements(["biomed"], SETTINGS)[0] == table  # another machine's speed
    measured.write_text('{"launcher": "slurm", "tokens_per_second": 1, "device": "1 × cuda"}')
    table, remarks = plan.requirements(["biomed"], SETTINGS)
    seen = 100 * 8 * 30 / 3600  # at most 30 tokens of text in a window of 32
    assert 0.8 * seen < float(table.splitlines()[1].split()[2]) < seen
    assert "and the limit (time) is 3:00:00: it is started again 2 times" in remarks[0]
    assert "measured by dapt launch --smoke on 1 × cuda" in remarks[-1]


def test_a_limit_that_suffices_is_not_spoken_of(ground):
    (ground / "logs").mkdir()
    measured = ground / "logs/smoke-biomed.json"
    measured.write_text('{"launcher": "slurm", "tokens_per_second": 1, "device": "1 × cuda"}')
    settings = SETTINGS.model_copy(update={"time": "1-0"})
    assert not any("limit" in line for line in plan.requirements(["biomed"], settings)[1])


def test_the_run_as_long_as_its_windows():
    """Tokens of a whole training, held against batches of it."""
    train = config.load(ROOT).active.train.model_copy(update={"steps": None, "epochs": 2.0})
    text = estimates.Text(1_000_000, 9_000)
    assert estimates.tokens_seen(train, text) == pytest.approx(2_000_000, rel=0.01)


@pytest.mark.parametrize("arguments", [["--plan"], ["--plan", "biomed"], ["--plan", "--partition", "auto"]])
def test_without_slurm_it_is_refused_in_a_line(ground, arguments):
    committed_files(ground, "slurm/cluster.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "dapt", "launch", *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/nowhere", "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "dapt launch: there is no srun on PATH, so nobody to ask; go to a login node of the cluster\n"
