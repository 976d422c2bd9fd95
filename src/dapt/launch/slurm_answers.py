"""Interprets Slurm's output, which exists only as text. No other file parses Slurm's messages.

It explains refusals and reasons for waiting (`refusal`, `waiting`), reads the states of jobs and partitions, and decides how a
job ended (`verdict`, `for_good`).
"""

import re
from dataclasses import dataclass

from dapt.core.paths import CLUSTER
from dapt.launch.cluster import Cluster
from dapt.telling import signals

# Times with their distance from UTC: without it, local times repeat an hour when daylight-saving time ends.
TIME_FORMAT = {"SLURM_TIME_FORMAT": "%FT%T%z"}
SHARE = "sinfo -o '%P %D nodes: %G, %c CPUs, %m MB, %f'"  # what a partition has, one line per kind of node
QUEUED = re.compile(r"srun: job (\d+) queued and waiting for resources")
NO_CLUSTER = "Could not establish a configuration source"  # srun is installed, but no cluster is configured
AWAY = ("Unable to contact slurm controller", "Socket timed out", "Connection refused", "Zero Bytes were transmitted")
NO_STEP = "Unable to create step"  # in the first seconds after a controller was restarted
CUT_OFF = ("TIMEOUT", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")  # ended by Slurm, not by the program
ENDED = (*CUT_OFF, "CANCELLED", "FAILED", "OUT_OF_MEMORY", "COMPLETED", "DEADLINE")


def meaning(said: str, cluster: Cluster) -> str | None:
    """What a refusal of srun means; None if it is not a known refusal."""
    partitions = ", ".join(cluster.partitions)
    meanings = {
        "Invalid feature specification": f"no node has the constraint {cluster.constraint!r}",
        "Memory specification can not be satisfied": f"no node of {partitions} has {cluster.memory} of memory",
        "Requested node configuration is not available": f"no {cluster.nodes} nodes of {partitions} have {cluster.gpus} GPUs each with constraint "
        f"{cluster.constraint!r} and memory {cluster.memory}",
        "nvalid partition": f"there is no partition {partitions}",
        "Requested time limit is invalid": f"the time limit {cluster.time} is not allowed in {partitions}",
        "Node count specification invalid": f"a job with {cluster.nodes} nodes is not allowed in {partitions}",
        "Invalid account": "you may not use this account (options: --account), or not in these partitions",
        "Invalid qos": "the quality of service (options: --qos) does not exist, or you may not use it",
        "Job violates accounting/QOS policy": "a limit of your account or quality of service forbids it "
        "(`sacctmgr show assoc user=$USER`); fewer jobs at the same time (dapt launch --at-once N) may be allowed",
        "group not permitted to use this partition": f"your group may not use {partitions}",
        "unavailable, drained": f"{partitions} is currently closed (drained)",
    }
    return next((text for words, text in meanings.items() if words in said), None)


def refusal(said: str, cluster: Cluster) -> str | None:
    """The same, with how to fix it."""
    text = meaning(said, cluster)
    return text and f"Slurm refuses the job: {text}; change it in {CLUSTER} ({SHARE} shows what is available)"


def waiting(reason: str) -> str:
    """Slurm's reason for a pending job (squeue's %r) in plain words."""
    meanings = {
        "Priority": "other jobs have priority",
        "Resources": "no node is free",
        "None": "it was just queued",
        "Dependency": "it waits for another job",
        "BeginTime": "its earliest start time has not been reached",
        "ReqNodeNotAvail": "the nodes it needs are down or reserved",
        "JobHeldUser": "it is on hold (release it with scontrol release)",
        "JobHeldAdmin": "an administrator has put it on hold",
        "PartitionDown": "the partition is down",
        "PartitionTimeLimit": "its time limit exceeds that of the partition",
    }
    name = reason.split(",")[0].strip("()")
    limit = "a limit of your account or quality of service is reached" if re.match("Assoc|QOS|MaxJobs", name) else None
    return meanings.get(name) or limit or name


def queued_job(line: str) -> str | None:
    """The number of a job that srun reports as queued.

    >>> queued_job("srun: job 7 queued and waiting for resources"), queued_job("srun: error: no")
    ('7', None)
    """
    found = QUEUED.match(line)
    return found and found[1]


def stepless_job(line: str) -> str | None:
    """The number of a job whose step could not be created."""
    found = re.match(rf"srun: error: {NO_STEP} for job (\d+)", line)
    return found and found[1]


def job_state(said: str) -> str | None:
    """The job's state in the output of `scontrol -o show job`."""
    found = re.search(r"JobState=(\w+)", said)
    return found and found[1]


def start_of_test(said: str) -> str | None:
    """The start time that `srun --test-only` predicts, in ISO format."""
    found = re.search(r"Job \d+ to start at (\S+) using", said)
    return found and found[1]


def away(said: str) -> bool:
    """Whether the output says that no controller answered."""
    return any(words in said for words in AWAY)


def of_partitions(said: str, what: str) -> dict[str, str]:
    """Partition → its value of `what`, for those that have one, from `scontrol -o show partition`."""
    found = (re.search(rf"PartitionName=(\S+).*\b{what}=(\S+)", line) for line in said.splitlines())
    return {match[1]: match[2] for match in found if match}


@dataclass(frozen=True)
class End:
    """How an srun ended: its exit code, the job's state if known, its output, and the events since it started."""

    code: int
    state: str | None
    said: str
    events: list[dict]

    def told(self, event: str) -> bool:
        return any(record["event"] == event for record in self.events)

    @property
    def done(self) -> bool:
        """srun's code alone is not enough: it is 0 if a node went down."""
        return self.code == 0 and self.told("done")


def verdict(end: End) -> str:
    """done, away (no controller), cancelled, memory, again (saved, or nothing lost), or failed."""
    if end.done:
        return "done"
    if end.state == "CANCELLED":
        return "cancelled"
    if end.state == "OUT_OF_MEMORY" or "oom-kill" in end.said or "oom_kill" in end.said:
        return "memory"
    left = end.code == signals.CODE or end.code - 128 in signals.SIGNALS or end.told("left")
    if left or end.state in CUT_OFF or NO_STEP in end.said:
        return "again"
    if end.state is None and away(end.said):
        return "away"
    return "failed"


def for_good(end: End, step: int, stage: str, cluster: Cluster) -> str | None:
    """Why a job is not restarted although its program did not fail, and how to fix that; None if it may be restarted."""
    what = verdict(end)
    if what == "cancelled":
        meanings = {
            "train": f"at step {step}; run again to continue there",
            "finetune": f"with {step} epochs saved; run again to continue there",
        }
        return "was cancelled" + (f" {meanings[stage]}" if stage in meanings else "; run again to start over")
    if what == "memory":
        mend = " or make train.parts larger" if stage == "train" else ""
        return f"needed more memory than {cluster.memory}; raise memory of {stage} in {CLUSTER}{mend}"
    if end.state == "TIMEOUT" and stage not in ("train", "finetune"):
        return f"was not done within {cluster.time}, and {stage} saves nothing; raise time of {stage} in {CLUSTER}"
    return None


def manner(end: End) -> str:
    """In a word or two, how a job ended that is restarted."""
    if end.state not in (None, "FAILED"):
        return end.state
    return "not started" if NO_STEP in end.said else "asked to stop"


def saved(events: list[dict], before: int) -> int:
    """The last step known to be saved: `before`, or a later one from the job's events."""
    steps = [record["step"] for record in events if record["event"] in ("resumed", "checkpoint", "left")]
    return max([before, *steps])
