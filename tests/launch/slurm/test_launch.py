"""`dapt launch`: stages side by side, through a real Slurm and a real DVC, and one dvc.lock."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cluster_settings import change_group
from dapt.telling import events
from repositories import add_task, change, environment, run
from slurm_cluster import wait_until
from slurm_runs import preempted
from toy_pipeline import copy_with_toys

DOMAINS = ("biomed", "finance", "general")


def lock(folder: Path) -> dict:
    return YAML(typ="safe", pure=True).load((folder / "dvc.lock").read_text())


class Repository:
    """A folder in which `dapt launch` is called, through a launcher."""

    def __init__(self, folder: Path, launcher: str, **variables: str):
        self.folder = folder
        self.variables = environment(folder.parent) | {"DAPT_LAUNCHER": launcher} | variables

    def launch(self, *words: str) -> subprocess.Popen:
        self.output = open(self.folder / "output", "w+")
        return subprocess.Popen(
            [Path(sys.executable).parent / "dapt", "launch", *words],
            cwd=self.folder,
            env=self.variables,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )

    def said(self) -> str:
        return (self.folder / "output").read_text()

    def launched(self, *words: str, code: int = 0) -> str:
        assert self.launch(*words).wait(240) == code, self.said()
        return self.said()

    def log(self, domain: str) -> str:
        path = self.folder / f"logs/launch-train-{domain}.log"
        return path.read_text() if path.exists() else ""

    def told(self, domain: str) -> list[str]:
        """The names of the events of a training."""
        return [record["event"] for record in events.read(self.folder / f"logs/train-{domain}.jsonl")]

    def wait_for(self, domain: str, pattern: str) -> None:
        wait_until(lambda: re.search(pattern, self.log(domain)), 120, pattern)


def yet_to_train(finished: Path, folder: Path) -> Path:
    """A clone of a finished repository, in which DOMAINS are yet to be trained."""
    run(finished.parent, "git", "clone", "-q", str(finished), str(folder))
    shutil.copytree(finished / ".dvc/cache/files", folder / ".dvc/cache/files", copy_function=os.link)
    found = lock(folder)
    for domain in DOMAINS:  # without its entry, and without the run cache, a stage really runs
        del found["stages"][f"train@{domain}"]
    with open(folder / "dvc.lock", "w") as file:
        YAML().dump(found, file)
    return folder


@pytest.fixture()
def repository(finished, tmp_path):
    made = []

    def make(launcher: str = "slurm", **settings) -> Repository:
        made.append(Repository(yet_to_train(finished, tmp_path / "repository"), launcher))
        change(made[-1].folder, settings)
        return made[-1]

    yield make
    for found in made:
        found.launched("--stop")
        wait_until(
            lambda: all("ended" in found.told(domain)[-1:] for domain in DOMAINS if found.told(domain)),
            60,
            "the end of the jobs",
        )


@pytest.mark.slow
def test_three_domains_at_once_end_in_the_lock_of_this_machine(cluster, finished, repository):
    here = repository()
    said = here.launched(*DOMAINS)
    assert lock(here.folder) == lock(finished)
    for domain in DOMAINS:
        assert re.search(rf"^train@{domain}: starting, job \d+, node n\S+-\d$", said, re.M)
        assert re.search(rf"^train@{domain} +done +\d+ +n\S+-\d +6 +6 +\d\.\d+ ", said, re.M)
    assert len({re.search(r": job (\d+) on ", here.log(domain))[1] for domain in DOMAINS}) == 3
    assert here.launched(*DOMAINS) == "everything is up to date\n"


@pytest.mark.slow
def test_when_one_ends_the_others_go_on_and_it_is_taken_up_again(cluster, repository):
    here = repository(**{"train.steps": 40, "train.valid_every": 20})
    follower = here.launch(*DOMAINS)
    here.wait_for("finance", r"job (\d+) on ")
    cluster.ask("scancel", re.search(r"job (\d+) on ", here.log("finance"))[1])
    assert follower.wait(240) == 2
    assert re.search(
        r"dapt launch: 1 of \d+ did not finish: train@finance \(job \d+ was cancelled at step \d+; "
        r"run again to continue there; log: logs/launch-train-finance.log\)",
        here.said(),
    )
    assert {name for name in lock(here.folder)["stages"] if name.startswith("train@")} == {
        "train@general",
        "train@biomed",
    }
    assert re.findall(r"^(\S+): done", here.launched(*DOMAINS), re.M) == ["train@finance"]
    assert "train@finance" in lock(here.folder)["stages"]


@pytest.mark.slow
def test_it_can_be_left_taken_up_again_and_stopped(cluster, repository):
    here = repository(**{"train.steps": 3000, "train.valid_every": 1000, "train.save_every": 20})
    follower = here.launch("biomed", "finance")
    for domain in ("biomed", "finance"):
        here.wait_for(domain, "step 0, loss")
    follower.send_signal(signal.SIGINT)
    assert follower.wait(30) == 0 and "dapt launch --stop biomed finance" in here.said()
    assert len(cluster.ask("squeue", "-h", "-o", "%j").split()) == 2
    again = here.launch("biomed", "finance")
    wait_until(lambda: "train@biomed: running, job" in here.said(), 30, "what runs")
    stopped = run(here.folder, "dapt", "launch", "--stop")
    assert stopped == "".join(f"train@{domain}: asked to save and exit\n" for domain in ("biomed", "finance"))
    assert run(here.folder, "dapt", "launch", "--stop", "general") == "train@general: not running\n"
    assert again.wait(120) == 2 and re.search(
        r"2 of 2 did not finish: train@biomed \(left at step \d+;.*train@finance \(left at", here.said()
    )
    wait_until(
        lambda: not cluster.ask("squeue", "-h"), 30, "an empty queue"
    )  # a job that has ended completes for a moment
    left = re.search(r"saved at step (\d+)", here.log("biomed"))[1]
    here.launch("biomed")
    here.wait_for("biomed", f"resumed at step {left}\n")


@pytest.mark.slow
def test_on_this_machine_they_take_turns(finished, repository):
    here = repository("local")
    here.launched(*DOMAINS)
    assert lock(here.folder) == lock(finished)
    assert any("turn" in here.told(domain) for domain in DOMAINS)
    assert not any("slurm:" in here.log(domain) for domain in DOMAINS)


@pytest.mark.slow
def test_from_nothing_two_at_a_time_on_this_machine_end_in_the_lock_of_plain_repro(finished, tmp_path):
    """Two cards are named; this torch, a CPU build, leaves them alone."""
    here = Repository(tmp_path / "repository", "local", CUDA_VISIBLE_DEVICES="0,1")
    first = run(finished, "git", "rev-list", "--max-parents=0", "HEAD").strip()
    run(finished.parent, "git", "clone", "-q", str(finished), str(here.folder))
    run(here.folder, "git", "checkout", "-q", "-B", "main", first)
    here.launched()
    assert lock(here.folder) == lock(finished)
    found = [events.read(path) for path in (here.folder / "logs").glob("*.jsonl")]
    spans = sorted(
        tuple(next(one["time"] for one in told if one["event"] == event) for event in ("started", "done"))
        for told in found
    )
    at_once = [sum(begin <= moment < end for begin, end in spans) for moment, _ in spans]
    assert max(at_once) == 2, spans


TASKS = [f"sentiment_{number}" for number in range(8)]


def with_sixteen_fine_tunings(folder: Path) -> Path:
    """The toy with the same task under eight names; base and biomed are fine-tuned on each."""
    copy_with_toys(folder)
    for name in TASKS:
        task = "corpus: finance_mlm1, fields: [label], kind: classification, length: 32"
        add_task(folder, name, "tfidf", task)
    change_group(folder, "tasks", partitions=["gpu-preempt"])
    run(folder, "git", "commit", "-qam", "eight tasks more")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_whole_pipeline_side_by_side_ends_in_the_lock_of_plain_repro(cluster, tmp_path):
    """Eighteen fine-tunings; one is cancelled, and others are preempted: they are started again, and what was cancelled is
    taken up again. A plain `dvc repro` in a copy gives the lock to end in."""
    plain = tmp_path / "plain"
    plain.mkdir()
    with_sixteen_fine_tunings(plain)
    here = Repository(tmp_path / "launched", "slurm")
    shutil.copytree(plain, here.folder)
    run(plain, "dvc", "repro", DAPT_LAUNCHER="local")

    follower = here.launch()
    victim = here.folder / f"logs/finetune-{TASKS[3]}-base.jsonl"

    def job() -> str | None:
        return next((one["job"] for one in events.read(victim) if one["event"] == "allocated"), None)

    wait_until(job, 600, "a fine-tuning")
    cluster.ask("scancel", job())
    with preempted(cluster):
        wait_until(lambda: cluster.ask("squeue", "-h", "-o", "%j").count("finetune-") >= 4, 60, "jobs")
    assert follower.wait(600) == 2, here.said()
    assert re.search(rf"finetune@{TASKS[3]}-base \(job \d+ was cancelled", here.said()), here.said()
    assert re.search(r"; \d+ were not started; run the same command", here.said())  # compare, report
    here.launched()
    assert lock(here.folder) == lock(plain)
    restarted = [
        path for path in (here.folder / "logs").glob("launch-finetune-*.log") if "slurm: restart 1" in path.read_text()
    ]
    assert restarted
