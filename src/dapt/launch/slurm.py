"""`dapt train X`, or another stage, through srun: queued, watched, and started again until it is done.

`srun` is what is asked for, slurm_answers.py what Slurm's answers mean; `until_done` and `Job` act on them. Each srun is
a job of its own, with its own log logs/STAGE-NAME-JOB.log; checkpoints carry a training from one to the next. How far
the program in a job has come is read from its events (telling.events).
"""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from dapt.core.paths import CLUSTER, LOGS, events_file
from dapt.launch.cluster import Cluster
from dapt.launch.slurm_answers import (
    ENDED,
    End,
    away,
    for_good,
    job_state,
    manner,
    queued_job,
    refusal,
    saved,
    stepless_job,
    verdict,
    waiting,
)
from dapt.telling import events, signals
from dapt.telling.errors import UserError
from dapt.telling.events import Events

NO_SRUN = "there is no srun on PATH; go to a login node of the cluster, or set DAPT_LAUNCHER=local"
PAUSE = 5  # seconds between two questions to the controller
LOOK = 1  # seconds between two looks at the events of a job that is about to begin
# Told at once, since Python takes seconds to start: an event for the launcher, a line for people.
ALLOCATED = '{"time": %s, "event": "allocated", "stage": "%s", "name": "%s", "job": "%s", "node": "%s"}\\n'
FIRST = f"""if [ "$SLURM_NODEID" = 0 ]; then
printf '{ALLOCATED}' "$(date +%s)" "$1" "$2" "$SLURM_JOB_ID" "$SLURM_STEP_NODELIST" >> "$DAPT_EVENTS"
echo "$2: job $SLURM_JOB_ID on $SLURM_STEP_NODELIST"
fi
shift 2"""


@dataclass(frozen=True)
class Work:
    """What jobs are for: a stage, what it is called after, and the program that each node runs."""

    stage: str
    name: str
    program: list[str]

    @property
    def title(self) -> str:
        return f"{self.stage}-{self.name}" if self.name else self.stage


def training(domain: str) -> Work:
    return Work("train", domain, [sys.executable, "-m", "dapt.launch.node", domain])


def srun(cluster: Cluster, threads: int, work: Work) -> list[str]:
    """srun for one job: one task per node, with as many CPUs as its processes have threads."""
    constraint = [f"--constraint={cluster.constraint}"] if cluster.constraint else []
    gpus = [f"--gpus-per-node={cluster.gpus}"] if cluster.gpus else []
    notice = [f"--signal=USR1@{cluster.leave_before}"] if work.stage == "train" else []  # it alone listens
    shell = "\n".join([FIRST, *cluster.setup, 'exec "$@"'])
    return [
        "srun",
        f"--job-name={work.title}",
        f"--partition={','.join(cluster.partitions)}",
        f"--nodes={cluster.nodes}",
        f"--ntasks={cluster.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={threads * max(cluster.gpus, 1) if work.stage == 'train' else threads}",
        *gpus,
        *constraint,
        f"--mem={cluster.memory}",
        f"--time={cluster.time}",
        *notice,
        "--kill-on-bad-exit=1",
        "--mpi=none",
        *cluster.options,
        "bash",
        "-c",
        shell,
        "bash",
        work.stage,
        work.name or work.stage,
        *work.program,
    ]


def ask(*words: str, environment: dict[str, str] | None = None) -> tuple[bool, str]:
    """Whether a command of Slurm went well, and what it said."""
    done = subprocess.run(
        words,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.returncode == 0, done.stdout.strip()


def say(text: str) -> None:
    print(f"slurm: {text}", flush=True)


class Job:
    """One srun: its lines go to the screen and, after `heading`, to its log; its program tells events."""

    def __init__(self, words: list[str], work: Work, environment: dict[str, str], heading: str):
        self.work, self.heading = work, heading
        self.number: str | None = None
        self.log: TextIO | None = None
        self.note = ""
        self.queued = self.leaving = False
        self.said: list[str] = []
        self.events = Path(environment["DAPT_EVENTS"])
        self.tell = Events(self.events, work.stage, work.name).tell
        self.begun = events.size(self.events)
        self.process = subprocess.Popen(
            words,
            env=environment,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(line)
        self.lines.put(None)

    def told(self) -> list[dict]:
        """The events since this job was asked for."""
        return events.read(self.events, self.begun)

    def leave(self) -> None:
        """Ask the training to save and to end: srun passes this signal on, or gives up its place in the queue."""
        self.leaving = True
        self.process.send_signal(signal.SIGUSR1)

    def follow(self) -> End:
        while True:
            try:
                line = self.lines.get(timeout=PAUSE if self.number else LOOK)
            except queue.Empty:
                self._look()
                continue
            if line is None:
                break
            self._take(line)
        code = self.process.wait()
        self._find_number()
        end = End(code, None, "".join(self.said), self.told())
        if self.number and not end.done:
            end = End(code, self._state(self.number), end.said, end.events)
        if self.log:
            self.log.close()
        return end

    def _take(self, line: str) -> None:
        print(line, end="", flush=True)
        self.said.append(line)
        waits = queued_job(line)
        self.queued = waits is not None
        if self.log:
            self.log.write(line)
        else:
            self._find_number(waits or stepless_job(line))

    def _find_number(self, said: str | None = None) -> None:
        """The job's number, as srun says it or as the job itself tells it, is the name of its log."""
        if self.log:
            return
        told = [record["job"] for record in self.told() if record["event"] == "allocated"]
        self.number = said or (told[-1] if told else None)
        if self.number is None:
            return
        path = LOGS / f"{self.work.title}-{self.number}.log"
        say(f"log: {path}")
        if said and self.queued:
            say(f"job {self.number} queued at {time.strftime('%m-%d %H:%M:%S')}")
            self.tell("queued", job=self.number)
        self.log = open(path, "w", buffering=1)
        self.log.writelines([self.heading, *self.said])

    def _look(self) -> None:
        """Say why the job waits and when Slurm thinks that it starts, where that has changed."""
        self._find_number()
        if not self.queued or self.number is None:
            return
        well, told = ask("squeue", "-h", "-j", self.number, "-o", "%r|%S")
        if not well:
            note = "the controller does not answer; the job keeps its place"
        elif told:
            reason, start = told.split("|")
            estimate = {} if start == "N/A" else {"start": start}
            note = f"job {self.number} waits: {waiting(reason)}" + "".join(
                f"; estimated start {at}" for at in estimate.values()
            )
            if note != self.note:
                self.tell("waits", job=self.number, why=waiting(reason), **estimate)
        else:
            return
        if note != self.note:
            say(note)
        self.note = note

    def _state(self, number: str) -> str | None:
        """How Slurm says that the job ended; None where it has forgotten, or where that is of no more interest."""
        asked = 0
        while not self.leaving:
            _, told = ask("scontrol", "-o", "show", "job", number)
            if state := job_state(told):
                if state in ENDED:
                    return state
            elif not away(told):
                return None
            elif not asked:
                say("the controller does not answer; waiting for it")
            asked += 1
            time.sleep(0.5 if asked < 10 else PAUSE)
        return None


def can_ask() -> None:
    """Refuse where no job can be asked for."""
    if not shutil.which("srun"):
        raise UserError(NO_SRUN)
    if job := os.environ.get("SLURM_JOB_ID"):
        raise UserError(
            f"this is inside of Slurm's job {job} already; leave it, or set DAPT_LAUNCHER=local to run right here"
        )


def train(domain: str, threads: int, cluster: Cluster) -> None:
    """Train on the cluster (`Restarts.until_done`)."""
    from dapt.launch import preflight  # imports torch, which other stages do without

    can_ask()
    for line in preflight.look([domain], cluster):
        say(line)
    Restarts(training(domain), threads, cluster).until_done()


def stage(command: str, names: Sequence[str], threads: int, cluster: Cluster) -> None:
    """Another stage, as this machine would run it. A fine-tuning continues with the seeds and epochs that are left, the
    others keep nothing and begin anew."""
    can_ask()
    program = ["env", "DAPT_LAUNCHER=local", sys.executable, "-m", "dapt", command, *names]
    Restarts(Work(command, "-".join(names), program), threads, cluster).until_done()


class Restarts:
    """Jobs for some work, one after the other, until it is done."""

    def __init__(self, work: Work, threads: int, cluster: Cluster):
        self.work, self.cluster, self.words = work, cluster, srun(cluster, threads, work)
        path = events_file(work.stage, work.name).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        LOGS.mkdir(exist_ok=True)
        self.environment = (
            os.environ | cluster.environment | {"OMP_NUM_THREADS": str(threads), "DAPT_EVENTS": str(path)}
        )
        self.tell = Events(path, work.stage, work.name).tell
        self.asked: list[int] = []  # signals that ask to leave
        self.job: Job | None = None
        self.step, self.idle, self.restarts, self.heading = -1, 0, 0, ""

    def until_done(self) -> None:
        """Return when the work is done; else SystemExit with the program's code, 75 where this process is asked to
        leave, or a UserError for what Slurm refuses or has ended for good.
        """
        with signals.on_signal(self._pass_on, (*signals.SIGNALS, signal.SIGINT)):
            while self._wait_for_controller():
                job = self.job = Job(self.words, self.work, self.environment, self.heading)
                if self.asked:
                    job.leave()
                end = job.follow()
                what, before = verdict(end), self.step
                self.step = saved(end.events, self.step)
                if what == "done":
                    return say(f"job {job.number} is done")
                if self.asked:
                    break
                if why := for_good(end, max(self.step, 0), self.work.stage, self.cluster):
                    raise UserError(f"job {job.number} {why}")
                if what == "again":
                    self._again(job, end, self.step > before)
                elif what == "failed":
                    if meaning := refusal(end.said, self.cluster):
                        raise UserError(meaning)
                    raise SystemExit(end.code or 1)  # srun's 0 without a finished training is no success
        say("asked to leave; run again to continue")
        raise SystemExit(signals.CODE)

    def _pass_on(self, number: int) -> None:
        self.asked.append(number)
        if self.job:
            self.job.leave()

    def _again(self, job: Job, end: End, progress: bool) -> None:
        """Count a restart, unless too many in a row have saved nothing new."""
        self.idle = 0 if progress else self.idle + 1
        ended = manner(end)
        if self.idle > self.cluster.restarts_without_progress:
            raise UserError(
                f"job {job.number} ended ({ended}), and {self.idle} in a row have saved nothing new; "
                f"see {LOGS}, and time and leave_before in {CLUSTER}"
            )
        self.restarts += 1
        step = max(self.step, 0)
        self.heading = f"slurm: restart {self.restarts}, after job {job.number} ({ended}), {self._from(step)}\n"
        print(self.heading, end="", flush=True)
        self.tell("restarted", restarts=self.restarts, after=job.number, ended=ended, step=step)
        time.sleep(PAUSE if self.idle else 0)

    def _from(self, step: int) -> str:
        """Where the next job begins."""
        meanings = {"train": f"from step {step}", "finetune": f"with {step} epochs saved"}
        return meanings.get(self.work.stage, "from the beginning")

    def _wait_for_controller(self) -> bool:
        """Return True when the controller answers, or False when asked to leave before."""
        said = False
        while not self.asked:
            if ask("scontrol", "ping")[0]:
                return True
            if not said:
                say("the controller does not answer; asking again until it does")
                self.tell("away")
            said = True
            time.sleep(PAUSE)
        return False
