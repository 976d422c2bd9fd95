"""Runs `dapt train X`, or another stage, through srun: queues it, watches it, and restarts it until it is done.

`srun` builds the request, slurm_answers.py interprets Slurm's answers, `until_done` and `Job` act on them. Each srun is a
separate job with its own log, logs/STAGE-NAME-JOB.log; a training continues from one job to the next through its checkpoints.
The progress of the program in a job is read from its events (telling.events).
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
    TIME_FORMAT,
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

NO_SRUN = "srun is not on PATH; use a login node of the cluster, or set DAPT_LAUNCHER=local"
PAUSE = 5  # seconds between two requests to the controller
LOOK = 1  # seconds between two reads of the events of a job that is about to start
# Written by the shell, since Python takes seconds to start: an event for the launcher, and a line for people.
ALLOCATED = '{"time": %s, "event": "allocated", "stage": "%s", "name": "%s", "job": "%s", "node": "%s"}\\n'
FIRST = f"""if [ "$SLURM_NODEID" = 0 ]; then
printf '{ALLOCATED}' "$(date +%s)" "$1" "$2" "$SLURM_JOB_ID" "$SLURM_STEP_NODELIST" >> "$DAPT_EVENTS"
echo "$2: job $SLURM_JOB_ID on $SLURM_STEP_NODELIST"
fi
shift 2"""


@dataclass(frozen=True)
class Work:
    """What a job runs: a stage, the name of its domain or task, and the program that each node runs."""

    stage: str
    name: str
    program: list[str]

    @property
    def title(self) -> str:
        return f"{self.stage}-{self.name}" if self.name else self.stage


def training(domain: str) -> Work:
    return Work("train", domain, [sys.executable, "-m", "dapt.launch.node", domain])


def srun(cluster: Cluster, threads: int, work: Work) -> list[str]:
    """The srun command for one job: one task per node, with as many CPUs as its processes have threads."""
    constraint = [f"--constraint={cluster.constraint}"] if cluster.constraint else []
    gpus = [f"--gpus-per-node={cluster.gpus}"] if cluster.gpus else []
    notice = [f"--signal=USR1@{cluster.leave_before}"] if work.stage == "train" else []  # only a training handles it
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
    """Whether a Slurm command succeeded, and its output."""
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
    """One srun. Its output goes to the screen and, after `heading`, to its log; its program writes events."""

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
        """The events since this job was requested."""
        return events.read(self.events, self.begun)

    def leave(self) -> None:
        """Ask the training to save and exit: srun passes the signal on, or leaves the queue."""
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
        """Open the log, which is named after the job's number, once srun or the job's own event has given the number."""
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
        """Print why the job is waiting and when Slurm expects it to start, if that has changed."""
        self._find_number()
        if not self.queued or self.number is None:
            return
        well, told = ask("squeue", "-h", "-j", self.number, "-o", "%r|%S", environment=os.environ | TIME_FORMAT)
        if not well:
            note = "the controller does not answer; the job keeps its place in the queue"
        elif told:
            reason, start = told.split("|")
            estimate = {} if start == "N/A" else {"start": start}
            note = f"job {self.number} is waiting: {waiting(reason)}" + "".join(
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
        """The job's final state in Slurm; None if Slurm no longer knows it, or if this process was asked to stop."""
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
    """Raise a UserError if no job can be submitted from here."""
    if not shutil.which("srun"):
        raise UserError(NO_SRUN)
    if job := os.environ.get("SLURM_JOB_ID"):
        raise UserError(
            f"this shell is already inside Slurm job {job}; leave it, or set DAPT_LAUNCHER=local to run here"
        )


def train(domain: str, threads: int, cluster: Cluster) -> None:
    """Train on the cluster (`Restarts.until_done`)."""
    from dapt.launch import preflight  # imports torch, which other stages do not need

    can_ask()
    for line in preflight.look([domain], cluster):
        say(line)
    Restarts(training(domain), threads, cluster).until_done()


def stage(command: str, names: Sequence[str], threads: int, cluster: Cluster) -> None:
    """Run another stage in a job. After an interruption, a fine-tuning continues with the remaining seeds and epochs; other
    stages save nothing and start over."""
    can_ask()
    program = ["env", "DAPT_LAUNCHER=local", sys.executable, "-m", "dapt", command, *names]
    Restarts(Work(command, "-".join(names), program), threads, cluster).until_done()


class Restarts:
    """Submits jobs for some work, one after the other, until it is done."""

    def __init__(self, work: Work, threads: int, cluster: Cluster):
        self.work, self.cluster, self.words = work, cluster, srun(cluster, threads, work)
        path = events_file(work.stage, work.name).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        LOGS.mkdir(exist_ok=True)
        self.environment = (
            os.environ | cluster.environment | {"OMP_NUM_THREADS": str(threads), "DAPT_EVENTS": str(path)}
        )
        self.tell = Events(path, work.stage, work.name).tell
        self.asked: list[int] = []  # signals that ask this process to stop
        self.job: Job | None = None
        self.step, self.idle, self.restarts, self.heading = -1, 0, 0, ""

    def until_done(self) -> None:
        """Return when the work is done. Raises SystemExit with the program's exit code, or with 75 if this process is asked to
        stop; a UserError if Slurm refuses a job or has ended it for good.
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
                    raise SystemExit(end.code or 1)  # srun's code 0 without a finished training is not success
        say("stopped as requested; run the same command again to continue")
        raise SystemExit(signals.CODE)

    def _pass_on(self, number: int) -> None:
        self.asked.append(number)
        if self.job:
            self.job.leave()

    def _again(self, job: Job, end: End, progress: bool) -> None:
        """Count a restart; give up if too many in a row have made no progress."""
        self.idle = 0 if progress else self.idle + 1
        ended = manner(end)
        if self.idle > self.cluster.restarts_without_progress:
            raise UserError(
                f"job {job.number} ended ({ended}), and {self.idle} jobs in a row have saved nothing new; "
                f"check the logs in {LOGS}, and time and leave_before in {CLUSTER}"
            )
        self.restarts += 1
        step = max(self.step, 0)
        self.heading = f"slurm: restart {self.restarts}, after job {job.number} ({ended}), {self._from(step)}\n"
        print(self.heading, end="", flush=True)
        self.tell("restarted", restarts=self.restarts, after=job.number, ended=ended, step=step)
        time.sleep(PAUSE if self.idle else 0)

    def _from(self, step: int) -> str:
        """Where the next job starts."""
        meanings = {"train": f"from step {step}", "finetune": f"with {step} epochs saved"}
        return meanings.get(self.work.stage, "from the beginning")

    def _wait_for_controller(self) -> bool:
        """Return True when the controller answers, or False if this process is asked to stop before that."""
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
