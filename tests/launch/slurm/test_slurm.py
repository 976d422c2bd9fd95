"""`dapt train` through a real Slurm: output, hashes, several nodes, refusals, a controller that is away."""

import re
import signal
import subprocess

import pytest

from repositories import change, copy_of_tree, run
from slurm_cluster import wait_until
from slurm_runs import busy, by_hand, same


def test_a_job_streams_to_the_screen_and_to_its_log_and_ends_in_the_same_bits(train, alone):
    run = train()
    said = run.end()
    number = re.search(r"biomed: job (\d+) on n\S+-\d\n", said)[1]
    log = (run.folder / f"logs/train-biomed-{number}.log").read_text()
    assert "biomed: step 1500, loss on valid" in log and set(log.splitlines()) < set(said.splitlines())
    assert same(run.folder, alone)


def test_it_asks_for_the_cpus_gpus_and_memory_of_the_settings(train, cluster):
    run = train()
    number = run.wait_for_checkpoint()
    job = cluster.ask("scontrol", "-o", "show", "job", number)
    for asked in ("cpu=1,mem=64G,node=1", "TresPerNode=gres:gpu:1", "Features=2080ti", "TimeLimit=03:00:00"):
        assert asked in job
    cluster.ask("scancel", number)
    run.end(2)


def test_two_nodes_give_the_losses_of_one_process(train, alone):
    run = train(nodes=2)
    said = run.end()
    assert re.search(r"biomed: job \d+ on n\S+\[\d-\d\]", said) and "fp32 on 2 × cpu" in said
    ours, theirs = ((folder / "data/curves/biomed.csv").read_text().splitlines()[1:8] for folder in (run.folder, alone))
    for one, other in zip(ours, theirs, strict=True):
        assert float(one.split(",")[1]) == pytest.approx(float(other.split(",")[1]), abs=2e-3), (one, other)
    assert not list((run.folder / "logs").glob(".first-node*"))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_to_the_launcher_reaches_the_training(train, name):
    run = train()
    run.wait_for_checkpoint()
    run.process.send_signal(getattr(signal, name))
    said = run.end(75)
    assert "saved at step" in said and "slurm: stopped as requested; run the same command again to continue" in said


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"constraint": "1080ti"}, "no node has the constraint '1080ti'"),
        ({"memory": "900G"}, "no node of gpu, gpu-preempt has 900G of memory"),
        ({"partitions": ["gpus"]}, "there is no partition gpus"),
        ({"gpus": 3}, "no 1 nodes of gpu, gpu-preempt have 3 GPUs each"),
        ({"time": "30-0"}, "the time limit 30-0 is not allowed in gpu, gpu-preempt"),
        ({"nodes": 9}, "a job with 9 nodes is not allowed in gpu, gpu-preempt"),
    ],
)
def test_what_slurm_refuses_is_said_in_one_line(train, settings, message):
    run = train(**settings)
    said = run.end(2)
    assert f"dapt train: Slurm refuses the job: {message}" in said and "Traceback" not in said


def test_in_the_queue_it_says_why_and_can_be_left(train, cluster):
    with busy(cluster, "--partition=gpu"):
        run = train(partitions=["gpu"])
        run.wait_for(r"slurm: job \d+ is waiting: no node is free")
        run.process.terminate()
        run.end(75)
        assert "train-biomed" not in cluster.ask("squeue", "-h", "-o", "%j")


def test_with_the_controller_away_it_waits_and_says_so(train, cluster, alone):
    cluster.end("slurmctld")
    try:
        run = train()
        run.wait_for("slurm: the controller does not answer; asking again until it does")
    finally:
        cluster.start_controller()
    run.end()
    assert same(run.folder, alone)
    cluster.settle()


def test_the_controller_may_go_while_a_job_runs(train, cluster, alone):
    run = train()
    number = run.wait_for_checkpoint()
    cluster.end("slurmctld")
    try:
        run.wait_for("step 1500, loss on valid")
    finally:
        cluster.start_controller()
    run.end()
    assert same(run.folder, alone)
    wait_until(lambda: number not in cluster.ask("squeue", "-h", "-o", "%i").split(), 30, "the end of the job")
    cluster.settle()


def test_through_dvc_the_lock_is_that_of_this_machine(ground, cluster, tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    copy_of_tree(folder)
    change(folder, {"train.steps": 20, "train.window": 32, "train.batch": 8, "train.threads": 1})
    for name in ("models/base", "data/tokens/biomed"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", "-T", ground / name, folder / name], check=True)
    subprocess.run(
        ["cp", "-r", ground / "data/tokens/biomed", folder / "data/tokens/general"], check=True
    )  # a dep, if replayed

    def repro(launcher: str) -> str:
        return run(folder, "dvc", "repro", "-f", "-s", "train@biomed", DAPT_LAUNCHER=launcher)

    assert "> dapt train biomed\n" in (said := repro("slurm")) and re.search(r"slurm: job \d+ is done", said)
    lock = (folder / "dvc.lock").read_bytes()
    assert "job" not in repro("local") and (folder / "dvc.lock").read_bytes() == lock
    assert len(list((folder / "logs").glob("train-biomed-*.log"))) == 1
    status = subprocess.run(["git", "status", "--porcelain"], cwd=folder, text=True, stdout=subprocess.PIPE).stdout
    assert "logs" not in status


def test_the_srun_script_trains(ground, alone, tmp_path):
    variables = by_hand(ground, tmp_path / "run")
    done = subprocess.run(
        ["slurm/train.srun.sh", "biomed"], cwd=tmp_path / "run", env=variables, text=True, stdout=subprocess.PIPE
    )
    assert done.returncode == 0 and (tmp_path / "run/logs/train-biomed-by-hand.log").read_text() == done.stdout
    assert same(tmp_path / "run", alone)
