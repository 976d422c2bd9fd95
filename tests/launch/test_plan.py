"""The plan's pure parts; tests/slurm asks a real Slurm."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster_settings import SETTINGS
from dapt.core import config
from dapt.core.files import write_lines
from dapt.launch import estimates, hours, plan, slurm_answers
from dapt.launch.plan import Answer
from dapt.telling.errors import UserError
from repositories import ROOT, committed_files, committed_params, ground_in, replaced


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
        ("", Answer(refusal="no reason given")),
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


def test_when_clocks_are_set_back_the_soonest_is_not_the_one_that_they_show_first():
    summer, winter = Answer("2026-10-25T02:50:00+0200"), Answer("2026-10-25T02:10:00+0100")  # twenty minutes later
    assert plan.soonest({"a": winter, "b": summer}) == "b"


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
    [need], remarks = plan.trainings(["biomed"], SETTINGS)
    assert (
        need.hours < 0.01
        and "< 0.01" in plan.table([need])
        and "biomed: hours are estimated, at 25% of the GPU's peak" in remarks[0]
    )
    slow = hours.train(
        estimates.model_in(Path("models/base")), train, estimates.text_in(Path("data/tokens/biomed")), 1.0, 1
    )
    assert slow * 3600 * 0.25e12 == pytest.approx(work)
    (ground / "logs").mkdir()
    measured = ground / "logs/smoke-biomed.json"
    measured.write_text('{"launcher": "local", "tokens_per_second": 1, "device": "1 × cpu"}')
    assert plan.trainings(["biomed"], SETTINGS)[0] == [need]  # another machine's speed
    measured.write_text('{"launcher": "slurm", "tokens_per_second": 1, "device": "1 × cuda"}')
    [need], remarks = plan.trainings(["biomed"], SETTINGS)
    seen = 100 * 8 * 30 / 3600  # at most 30 tokens of text in a window of 32
    assert 0.8 * seen < need.hours < seen
    assert "but the time limit is 3:00:00: it will be restarted 2 times" in remarks[0]
    assert "measured by dapt launch --smoke on 1 × cuda" in remarks[-1]


def test_a_limit_that_suffices_is_not_spoken_of(ground):
    (ground / "logs").mkdir()
    measured = ground / "logs/smoke-biomed.json"
    measured.write_text('{"launcher": "slurm", "tokens_per_second": 1, "device": "1 × cuda"}')
    settings = SETTINGS.model_copy(update={"time": "1-0"})
    assert not any("limit" in line for line in plan.trainings(["biomed"], settings)[1])


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
    assert (
        done.stderr == "dapt launch: srun is not on PATH, so Slurm cannot be asked; use a login node of the cluster\n"
    )


FULL = {  # task → the full profile's training rows, and a question and an answer or options of the real mean length
    "finance_classification": (4_300, {"text": "fever " * 28, "label": "neutral"}),
    "biomed_topic": (182_822, {"question": "fever " * 20, "label": "Anatomy"}),
    "multiple_choice": (182_822, {"question": "fever " * 20, "options": ["fever " * 5] * 4, "answer": 0}),
    "answer_ranking": (5_500, {"question": "fever " * 12, "answer": "fever " * 200}),
}


def test_the_full_profile_fits_into_a_day_of_one_2080_ti_and_its_total_is_the_sum_of_its_parts(
    tmp_path, model_folder, monkeypatch
):
    """By the plan's own estimate, of BERT-base's size. Rows are those of the sources (the hub's pages); MedMCQA's sequences have
    22 and 28 tokens on average and PhraseBank's 31, counted with this vocabulary in the files that were at hand."""
    monkeypatch.chdir(committed_files(tmp_path, "params.yaml", "profiles"))
    path = tmp_path / "params.yaml"
    path.write_text(replaced(path.read_text(), "profile: sample", "profile: full"))
    shutil.copytree(model_folder, tmp_path / "models/base")
    monkeypatch.setattr(estimates, "model_in", lambda folder: estimates.Model(109_514_298, 768, 12, 30_522))
    for task, (count, row) in FULL.items():
        write_lines(tmp_path / f"data/split/tasks/{task}/train.jsonl", [row] * count)
    for name in ("biomed", "finance", "general"):
        write_lines(tmp_path / f"data/split/{name}/heldout.jsonl", [{"text": "fever " * 200}] * 3_000)
    params = config.load()
    stages = [f"finetune@{task}-{model}" for task in params.tasks for model in params.finetuned]
    needs, remarks = plan.others(["base", *(f"evaluate@{model}" for model in params.models), *stages], params, SETTINGS)
    assert ["hours are estimated" in line for line in remarks] == [True] and len(needs) == 1 + 5 + 16
    found = {need.stage: need.hours for need in needs}
    assert 2 < found["finetune@multiple_choice-biomed"] < 6 and found["evaluate@base"] < 0.5
    total = plan.table(needs).splitlines()[-1].split()
    assert total[0] == "total" and float(total[2]) == pytest.approx(sum(found.values()), abs=0.01)
    assert 12 < float(total[2]) < 23
    shutil.rmtree(tmp_path / "data/split/tasks/multiple_choice")
    needs, remarks = plan.others(stages, params, SETTINGS)
    assert remarks[0].startswith("data/split/tasks/multiple_choice does not exist, so its hours are unknown")
    assert [need.stage for need in needs if need.hours is None] == [
        f"finetune@multiple_choice-{model}" for model in params.finetuned
    ]


def test_a_fine_tuning_is_its_work_or_where_that_is_less_its_steps():
    params, read = committed_params(), hours.Sequences(6_400, 4, 25.0)
    model, task = estimates.Model(109_514_298, 768, 12, 30_522), params.active_tasks["multiple_choice"]
    seeds, epochs = len(params.active.finetune.seeds), task.epochs
    weights = 109_514_298 - 30_522 * 768
    work = seeds * epochs * 6_400 * 4 * 25 * (6 * weights + 12 * 12 * 25 * 768)
    assert hours.finetune(model, params, task, read, 10.0) * 3600 == pytest.approx(work / (0.25 * 10e12))
    assert hours.finetune(model, params, task, read, 1e6) * 3600 == pytest.approx(seeds * epochs * 200 * hours.STEP)
