"""What Slurm's answers mean: as Slurm 22.05 gives them."""

import pytest

from cluster_settings import SETTINGS
from dapt.launch import slurm_answers
from dapt.launch.slurm_answers import End, verdict

DONE, LEFT = {"event": "done"}, {"event": "left", "step": 3}


@pytest.mark.parametrize(
    "end, what",
    [
        (End(0, None, "", [DONE]), "done"),
        (End(0, None, "biomed: done\n", []), "failed"),  # a sentence says nothing,
        (End(0, "NODE_FAIL", "srun: error: Node failure on n1\n", []), "again"),  # as seen: srun's code is 0
        (End(75, "FAILED", "", [LEFT]), "again"),
        (End(138, "FAILED", "srun: error: n1: task 0: User defined signal 1\n", []), "again"),
        (End(137, "FAILED", "", [LEFT]), "again"),  # another node was killed behind it
        (End(75, "CANCELLED", "", [LEFT]), "cancelled"),
        (End(75, "PREEMPTED", "", []), "again"),
        (End(137, "TIMEOUT", "", []), "again"),
        (End(137, "OUT_OF_MEMORY", "", []), "memory"),
        (End(1, "FAILED", "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=3.0\n", []), "memory"),
        (
            End(
                1,
                None,
                "srun: error: Unable to allocate resources: Unable to contact slurm controller (connect failure)\n",
                [],
            ),
            "away",
        ),
        (End(1, None, "srun: error: Unable to allocate resources: Invalid feature specification\n", []), "failed"),
        (
            End(
                1,
                "FAILED",
                "srun: error: Unable to create step for job 28: Invalid generic resource (gres) specification\n",
                [],
            ),
            "again",
        ),
        (End(1, "FAILED", "Traceback\n", []), "failed"),
        (End(2, "FAILED", "dapt train biomed: no\n", []), "failed"),
    ],
)
def test_what_follows_from_the_end_of_a_job(end, what):
    assert verdict(end) == what


@pytest.mark.parametrize(
    "state, stage, words",
    [
        ("CANCELLED", "train", "was cancelled at step 7; run again to continue there"),
        ("CANCELLED", "finetune", "was cancelled with 7 epochs saved; run again to continue there"),
        ("CANCELLED", "evaluate", "was cancelled; run again to start over"),
        ("OUT_OF_MEMORY", "train", "needed more memory than 64G; raise memory of train in slurm/cluster.yaml or make"),
        ("OUT_OF_MEMORY", "evaluate", "needed more memory than 16G; raise memory of evaluate in slurm/cluster.yaml"),
        (
            "TIMEOUT",
            "base",
            "was not done within 0:30:00, and base saves nothing; raise time of base in slurm/cluster.yaml",
        ),
        ("TIMEOUT", "train", None),
        ("TIMEOUT", "finetune", None),
        ("NODE_FAIL", "evaluate", None),
        ("FAILED", "evaluate", None),
    ],
)
def test_what_ends_a_job_for_good_is_said_in_the_settings_of_its_stage(state, stage, words):
    why = slurm_answers.for_good(End(1, state, "", []), 7, stage, SETTINGS.for_stage(stage))
    assert why.startswith(words) if words else why is None


def test_the_last_saved_step_is_read_from_the_events_of_a_job():
    told = [{"event": "resumed", "step": 40}, {"event": "step", "step": 90}, {"event": "checkpoint", "step": 80}]
    assert slurm_answers.saved([], 7) == 7 and slurm_answers.saved(told, 40) == 80
    assert slurm_answers.saved([*told, {"event": "left", "step": 95}], 40) == 95


@pytest.mark.parametrize(
    "reason, words",
    [
        ("Resources", "no node is free"),
        ("(Priority)", "other jobs have priority"),
        ("QOSMaxGRESPerUser", "a limit of your"),
        ("AssocGrpGRES", "a limit of your account"),
        ("ReqNodeNotAvail, UnavailableNodes:n1", "down or reserved"),
        ("Odd", "Odd"),
    ],
)
def test_reasons_for_waiting_are_words(reason, words):
    assert words in slurm_answers.waiting(reason)


def test_what_is_no_refusal_is_left_as_it_is():
    assert slurm_answers.refusal("srun: error: something else", SETTINGS) is None
