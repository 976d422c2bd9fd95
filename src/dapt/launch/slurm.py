"""`dapt train X`, or another stage, through srun: queued, watched, and started again until it is done.

`command` is what is asked for, answers.py what Slurm's answers mean; `until_done` and `Job` act on them. Each srun is a job
of its own, with its own log logs/STAGE-NAME-JOB.log; checkpoints carry a training from one to the next.
"""

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from dapt.telling import signals
from dapt.telling.errors import UserError
from dapt.launch import preflight
from dapt.launch.slurm_answers import AWAY, DONE, ENDED, End, done, for_good, manner, refusal, saved, verdict, waiting
from dapt.launch.cluster import Cluster
from dapt.core.paths import CLUSTER, LOGS

PAUSE = 5  # seconds between two questions to the controller
STARTED = re.compile(r"(?:srun: job (\d+) queued|\S+: job (\d+) on |srun: error: Unable to create step for job (\d+))")
# Said at once, since Python takes seconds to start.
FIRST = '[ "$SLURM_NODEID" != 0 ] || echo "$1: job $SLURM_JOB_ID on $SLURM_STEP_NODELIST"'


@dataclass(frozen=True)
class Work:
    """What jobs are for: a stage, the name that it is given, the program that each node runs, and whether a job goes on
    from where the one before it ended."""

    stage: str
    name: str
    program: list[str]
    resumes: bool

    @property
    def title(self) -> str:
        return f"{self.stage}-{self.name}" if self.name else self.stage


def training(domain: str) -> Work:
    return Work("train", domain, [sys.executable, "-m", "dapt.launch.node", domain], True)


def command(cluster: Cluster, threads: int, domain: str) -> list[str]:
    """srun for one training."""
    return srun(cluster, threads, training(domain))


def srun(cluster: Cluster, threads: int, work: Work) -> list[str]:
    """srun for one job: one task a node, with as many CPUs as its processes have threads."""
    constraint = [f"--constraint={cluster.constraint}"] if cluster.constraint else []
    gpus = [f"--gpus-per-node={cluster.gpus}"] if cluster.gpus else []
    notice = [f"--signal=USR1@{cluster.leave_before}"] if work.resumes else []
    shell = "\n".join([FIRST, "shift", *cluster.setup, 'exec "$@"'])
    return ["srun", f"--job-name={work.title}", f"--partition={','.join(cluster.partitions)}",
            f"--nodes={cluster.nodes}", f"--ntasks={cluster.nodes}", "--ntasks-per-node=1",
            f"--cpus-per-task={threads * max(cluster.gpus, 1)}", *gpus, *constraint,
            f"--mem={cluster.memory}", f"--time={cluster.time}", *notice, "--kill-on-bad-exit=1",
            "--mpi=none", *cluster.options, "bash", "-c", shell, "bash", work.name or work.stage, *work.program]


def ask(*words: str) -> tuple[bool, str]:
    """Whether a command of Slurm went well, and what it said."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, done.stdout.strip()


def say(text: str) -> None:
    print(f"slurm: {text}", flush=True)


def wait_for_controller(asked: list[int]) -> bool:
    """Return True when the controller answers, or False when `asked` to leave before."""
    said = False
    while not asked:
        if ask("scontrol", "ping")[0]:
            return True
        if not said:
            say("the controller does not answer; asking again until it does")
        said = True
        time.sleep(PAUSE)
    return False


class Job:
    """One srun: its lines go to the screen and, behind `heading`, to its log."""

    def __init__(self, words: list[str], title: str, environment: dict[str, str], heading: str):
        self.title, self.number, self.said, self.heading = title, None, [], heading
        self.log = self.note = None
        self.queued = self.leaving = False
        self.process = subprocess.Popen(words, env=environment, text=True, errors="replace", stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0)
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def leave(self) -> None:
        """Ask the training to save and to end: srun passes this signal on, or gives up its place in the queue."""
        self.leaving = True
        self.process.send_signal(signal.SIGUSR1)

    def follow(self) -> End:
        while True:
            try:
                line = self.lines.get(timeout=PAUSE)
            except queue.Empty:
                if self.queued:
                    self._look()
                continue
            if line is None:
                break
            self._take(line)
        code = self.process.wait()
        said = "".join(self.said)
        end = End(code, self._state() if self.number and not done(code, said) else None, said)
        if self.log:
            self.log.close()
        return end

    def _take(self, line: str) -> None:
        print(line, end="", flush=True)
        self.said.append(line)
        self.queued = line.endswith("queued and waiting for resources\n")
        if self.log:
            self.log.write(line)
        elif found := STARTED.match(line):
            self.number = found[found.lastindex]
            LOGS.mkdir(exist_ok=True)
            path = LOGS / f"{self.title}-{self.number}.log"
            say(f"log: {path}")
            if self.queued:
                say(f"job {self.number} queued at {time.strftime('%m-%d %H:%M:%S')}")
            self.log = open(path, "w", buffering=1)
            self.log.writelines([self.heading, *self.said])

    def _look(self) -> None:
        """Say why the job waits and when Slurm thinks that it starts, where that has changed."""
        well, told = ask("squeue", "-h", "-j", self.number, "-o", "%r|%S")
        if not well:
            note = "the controller does not answer; the job keeps its place"
        elif told:
            reason, start = told.split("|")
            estimate = f"; estimated start {start}" if start != "N/A" else ""
            note = f"job {self.number} waits: {waiting(reason)}{estimate}"
        else:
            return
        if note != self.note:
            say(note)
        self.note = note

    def _state(self) -> str | None:
        """How Slurm says that the job ended; None where it has forgotten, or where that is of no more interest."""
        asked = 0
        while not self.leaving:
            _, told = ask("scontrol", "-o", "show", "job", self.number)
            if found := re.search(r"JobState=(\w+)", told):
                if found[1] in ENDED:
                    return found[1]
            elif not any(words in told for words in AWAY):
                return None
            elif not asked:
                say("the controller does not answer; waiting for it")
            asked += 1
            time.sleep(0.5 if asked < 10 else PAUSE)
        return None


def can_ask() -> None:
    """Refuse where no job can be asked for."""
    if not shutil.which("srun"):
        raise UserError("there is no srun on PATH; go to a login node of the cluster, or set DAPT_LAUNCHER=local")
    if job := os.environ.get("SLURM_JOB_ID"):
        raise UserError(f"this is inside of Slurm's job {job} already; leave it, or set DAPT_LAUNCHER=local to "
                        "run right here")


def train(domain: str, threads: int, cluster: Cluster) -> None:
    """Train on the cluster (`until_done`)."""
    can_ask()
    for line in preflight.look(domain, cluster):
        say(line)
    until_done(training(domain), threads, cluster)


def stage(command: str, name: str | None, cluster: Cluster) -> None:
    """Another stage, as this machine would run it, on the nodes that slurm/cluster.yaml has for it (`until_done`)."""
    can_ask()
    done = ["bash", "-c", f'"$@" && echo "$0 {DONE.strip()}"', name or command]
    program = ["env", "DAPT_LAUNCHER=local", *done, sys.executable, "-m", "dapt", command, *filter(None, [name])]
    until_done(Work(command, name or "", program, False), cluster.cpu.cpus, cluster.for_stages())


def until_done(work: Work, threads: int, cluster: Cluster) -> None:
    """Jobs for some work until it is done; else SystemExit with the program's code, 75 where this process is asked to
    leave, or a UserError for what Slurm refuses or has ended for good.
    """
    words = srun(cluster, threads, work)
    environment = os.environ | cluster.environment | {"OMP_NUM_THREADS": str(threads)}
    asked: list[int] = []
    running: list[Job] = []

    def pass_on(number: int) -> None:
        asked.append(number)
        for job in running:
            job.leave()

    heading, step, idle, restarts = "", -1, 0, 0
    with signals.on_signal(pass_on, (*signals.SIGNALS, signal.SIGINT)):
        while wait_for_controller(asked):
            job = Job(words, work.title, environment, heading)
            running[:] = [job]
            if asked:
                job.leave()
            end = job.follow()
            running.clear()
            what, before = verdict(end), step
            step = saved(end.said, step)
            if what == "done":
                return
            if asked:
                break
            if why := for_good(end, max(step, 0), work.resumes, cluster):
                raise UserError(f"job {job.number} {why}")
            if what == "again":
                idle = 0 if step > before else idle + 1
                ended = manner(end)
                if idle > cluster.restarts_without_progress:
                    raise UserError(f"job {job.number} ended ({ended}), and {idle} in a row have saved nothing new; "
                                    f"see {LOGS}, and time and leave_before in {CLUSTER}")
                restarts += 1
                heading = f"slurm: restart {restarts}, after job {job.number} ({ended}), from step {max(step, 0)}\n"
                print(heading, end="", flush=True)
                time.sleep(PAUSE if idle else 0)
            elif what == "failed":
                if meaning := refusal(end.said, cluster):
                    raise UserError(meaning)
                raise SystemExit(end.code or 1)  # srun's 0 without a finished training is no success
    say("asked to leave; run again to go on")
    raise SystemExit(signals.CODE)
