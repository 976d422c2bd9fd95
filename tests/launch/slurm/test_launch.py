"""`dapt launch`: three trainings at once through a real Slurm and a real DVC, and one dvc.lock."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from dapt.telling import events
from repositories import change, environment, run
from slurm_cluster import wait_until

DOMAINS = ("biomed", "finance", "general")


def lock(folder: Path) -> dict:
    return YAML(typ="safe", pure=True).load((folder / "dvc.lock").read_text())


class Repository:
    """A clone of a finished repository, in which these domains are yet to be trained."""

    def __init__(self, finished: Path, folder: Path, launcher: str):
        self.folder = folder
        run(finished.parent, "git", "clone", "-q", str(finished), str(folder))
        shutil.copytree(finished / ".dvc/cache/files", folder / ".dvc/cache/files", copy_function=os.link)
        found = lock(folder)
        for domain in DOMAINS:  # without its entry, and without the run cache, a stage really runs
            del found["stages"][f"train@{domain}"]
        with open(folder / "dvc.lock", "w") as file:
            YAML().dump(found, file)
        self.variables = environment(folder.parent) | {"DAPT_LAUNCHER": launcher}

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
        path = self.folder / f"logs/launch-{domain}.log"
        return path.read_text() if path.exists() else ""

    def told(self, domain: str) -> list[str]:
        """The names of the events of a training."""
        return [record["event"] for record in events.read(self.folder / f"logs/train-{domain}.jsonl")]

    def wait_for(self, domain: str, pattern: str) -> None:
        wait_until(lambda: re.search(pattern, self.log(domain)), 120, pattern)


@pytest.fixture()
def repository(finished, tmp_path):
    made = []

    def make(launcher: str = "slurm", **settings) -> Repository:
        made.append(Repository(finished, tmp_path / "repository", launcher))
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
        assert re.search(rf"^{domain}: starting, job \d+, node n\S+-\d$", said, re.M)
        assert re.search(rf"^{domain} +done +\d+ +n\S+-\d +6 +6 +\d\.\d+ ", said, re.M)
    assert len({re.search(r": job (\d+) on ", here.log(domain))[1] for domain in DOMAINS}) == 3
    assert here.launched(*DOMAINS).count("trained before") >= 3


@pytest.mark.slow
def test_when_one_ends_the_others_go_on_and_it_is_taken_up_again(cluster, repository):
    here = repository(**{"train.steps": 40, "train.valid_every": 20})
    follower = here.launch(*DOMAINS)
    here.wait_for("finance", r"job (\d+) on ")
    cluster.ask("scancel", re.search(r"job (\d+) on ", here.log("finance"))[1])
    assert follower.wait(240) == 2
    assert re.search(
        r"dapt launch: 1 of 3 did not finish: finance \(job \d+ was cancelled at step \d+; "
        r"run again to continue there; log: logs/launch-finance.log\)",
        here.said(),
    )
    assert {name for name in lock(here.folder)["stages"] if name.startswith("train@")} == {
        "train@general",
        "train@biomed",
    }
    assert len(re.findall(r"^\S+: trained before", here.launched(*DOMAINS), re.M)) == 2
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
    wait_until(lambda: "biomed: training, job" in here.said(), 30, "what runs")
    assert "Running stage" not in here.said()
    stopped = run(here.folder, "dapt", "launch", "--stop")
    assert "biomed: is asked to save and end" in stopped and "general: does not run" in stopped
    assert again.wait(120) == 2 and re.search(
        r"2 of 2 did not finish: biomed \(left at step \d+;.*finance \(left at", here.said()
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
    assert all("turn" in here.told(domain) and "slurm:" not in here.log(domain) for domain in DOMAINS)
