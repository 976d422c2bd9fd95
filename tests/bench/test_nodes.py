"""The formulas of `dapt bench nodes`, and two processes that measure a small model for real."""

import json
import os
import subprocess
import sys

import pytest

from dapt.bench.nodes import NETWORKS, all_reduce_seconds, predicted, run, speed_up
from dapt.telling.errors import UserError

SMALL = """
from dapt.bench import nodes
from transformers import BertConfig
nodes.BertConfig = lambda: BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
nodes.run(1, True)
"""


@pytest.mark.parametrize("nodes", [2, 3, 8])
def test_a_ring_takes_as_long_as_its_rounds(nodes):
    """2 (N - 1) rounds, in each of which a node sends an N-th of the bytes."""
    rounds = sum(1e6 / nodes * 8 / 1e9 for _ in range(2 * (nodes - 1)))
    assert all_reduce_seconds(nodes, 1e6, 1e9) == pytest.approx(rounds)


def test_what_costs_nothing_to_send_gains_all_and_what_hides_nowhere_costs_its_time():
    assert speed_up(4, 1.0, 0.0) == pytest.approx(4)
    assert speed_up(2, 6.0, 1.9) == pytest.approx(2)  # hidden behind 2 s of backwards
    assert speed_up(2, 6.0, 5.0) == pytest.approx(1)  # 1 s forwards, 5 s that all wait


def test_more_windows_a_step_and_faster_networks_gain_more():
    table = [list(predicted(438e6, windows).values())[2:] for windows in (8, 32, 128)]
    assert all(row == sorted(row) and len(row) == len(NETWORKS) for row in table)
    assert all(list(column) == sorted(column) for column in zip(*table, strict=True))


@pytest.mark.parametrize("rounds, tasks", [(0, "1"), (1, "3"), (1, "16")])
def test_no_rounds_and_processes_that_cannot_share_the_windows_are_refused(monkeypatch, rounds, tasks):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", tasks)
    with pytest.raises(
        UserError, match=f"--rounds must be at least 1, and the number of processes .now {tasks}. must divide 8"
    ):
        run(rounds, False)


def test_without_srun_an_allocation_is_one_process(tmp_path):
    variables = {"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"}
    done = subprocess.run(
        [sys.executable, "-c", SMALL], cwd=tmp_path, env=os.environ | variables, text=True, capture_output=True
    )
    assert json.loads(done.stdout.splitlines()[0])["nodes"] == 1, done.stderr


def test_two_processes_measure_together(tmp_path):
    def start(rank: int) -> subprocess.Popen:
        variables = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": str(rank), "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}
        return subprocess.Popen(
            [sys.executable, "-c", SMALL], cwd=tmp_path, env=os.environ | variables, text=True, stdout=subprocess.PIPE
        )

    outputs = [process.communicate(timeout=120)[0] for process in [start(rank) for rank in (0, 1)]]
    measured, *table = map(json.loads, outputs[0].splitlines())
    parameters = 32 * (30522 + 512 + 2) + 30522  # embeddings and the decoder's bias are all but 1 %
    assert measured["nodes"] == 2 and measured["gradient_mb"] == pytest.approx(4 * parameters / 1e6, rel=0.2)
    assert measured["step_s"] >= 0 and len(table) == 4 and outputs[1] == ""
