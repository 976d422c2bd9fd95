"""`dapt launch --plan [TARGET …]`: when a job would start in each allowed partition and on each GPU, and what the remaining
stages that use a GPU need.
"""

import itertools
import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import read_json
from dapt.core.paths import CLUSTER, LOGS, MODELS, SPLIT, TOKENS
from dapt.launch import background, cluster, estimates, hours, pipeline, preflight, slurm, slurm_answers
from dapt.launch.cluster import Cluster
from dapt.launch.gpus import alternatives, card_of
from dapt.launch.hours import SHARE
from dapt.telling.errors import UserError


@dataclass(frozen=True)
class Answer:
    """Slurm's answer to when it would start a job: `start` in ISO format, or the reason for a `refusal`."""

    start: str | None = None
    refusal: str | None = None


def read(said: str, settings: Cluster) -> Answer:
    """Parse the output of `srun --test-only`.

    >>> read("srun: Job 7 to start at 2026-01-31T09:30:00 using 2 processors on nodes n1 in partition gpu", None).start
    '2026-01-31T09:30:00'
    """
    if start := slurm_answers.start_of_test(said):
        return Answer(start=start)
    if slurm_answers.away(said) or slurm_answers.NO_CLUSTER in said:
        raise UserError("Slurm's controller does not answer; try again when `scontrol ping` reports UP on this machine")
    last = (said.strip().splitlines() or ["no reason given"])[-1]
    return Answer(refusal=slurm_answers.meaning(said, settings) or last.removeprefix("allocation failure: "))


def soonest(answers: dict[str, Answer]) -> str:
    """The partition with the earliest start; of several, the one that is listed first."""
    starts = {name: answer.start for name, answer in answers.items() if answer.start}
    if not starts:
        raise UserError(
            "no partition can run the job: "
            + "; ".join(f"{name}: {answer.refusal}" for name, answer in answers.items())
        )
    return min(starts, key=lambda name: datetime.fromisoformat(starts[name]))


def seconds(time: str) -> int:
    """Parse Slurm's --time: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]].

    >>> seconds("90"), seconds("3:00:00"), seconds("1-12"), seconds("2:30")
    (5400, 10800, 129600, 150)
    """
    days, _, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if not days and len(parts) < 3:
        parts = [0, *parts]
    hours, minutes, left = (parts + [0, 0])[:3]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + left


def align(rows: list[list[str]]) -> str:
    """Pad each column to its widest cell, except the last one."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def settings_of_slurm() -> Cluster:
    """What a training requests from Slurm; refuses a machine without Slurm's commands."""
    settings = cluster.through_slurm("train", "slurm", cluster.load())
    if settings is None:
        raise UserError(f"{CLUSTER} sends no training to Slurm; add train to one of its groups")
    check_srun()
    return settings


def check_srun() -> None:
    if not shutil.which("srun"):
        raise UserError("srun is not on PATH, so Slurm cannot be asked; use a login node of the cluster")


def partitions() -> str:
    return slurm.ask("scontrol", "-o", "show", "partition")[1]


def ask(settings: Cluster, partition: str, state: str, **changed: object) -> Answer:
    """Slurm's answer to a training's request in this partition, with some settings changed."""
    if state != "UP":  # --test-only does not check this
        return Answer(refusal=f"the partition is {state}")
    asked = settings.model_copy(update={"partitions": [partition], **changed})
    srun, *options = slurm.srun(asked, config.load().active.train.threads, slurm.training("plan"))
    variables = os.environ | settings.environment | slurm_answers.TIME_FORMAT
    return read(slurm.ask(srun, "--test-only", *options, environment=variables)[1], asked)


def choose(partition: str | None, settings: Cluster) -> Cluster:
    """The settings with the requested partition; auto chooses the one where the job would start earliest."""
    if partition is None:
        return settings
    if partition == "auto":
        check_srun()
        states = slurm_answers.of_partitions(partitions(), "State")
        partition = soonest({name: ask(settings, name, states.get(name, "UP")) for name in settings.partitions})
        slurm.say(f"partition {partition} has the earliest start")
    return settings.model_copy(update={"partitions": [partition]})


def starts(settings: Cluster) -> str:
    """The table of partitions and GPUs."""
    said = partitions()
    weights, states = (
        slurm_answers.of_partitions(said, "TRESBillingWeights"),
        slurm_answers.of_partitions(said, "State"),
    )
    rows = [["partition", "GPU", "billing weights", "start"]]
    for partition in settings.partitions:
        cards: list[str | None] = [*alternatives(settings.constraint)]
        for card in cards or [None]:
            answer = ask(settings, partition, states.get(partition, "UP"), constraint=card)
            rows.append(
                [
                    partition,
                    card or ("any" if settings.gpus else "none"),
                    weights.get(partition, "-"),
                    answer.start or f"refused: {answer.refusal}",
                ]
            )
    return align(rows)


def measured(domain: str) -> tuple[float, str] | None:
    """Tokens per second measured by `dapt launch --smoke` through Slurm, and the device; None if it was not run."""
    path = LOGS / f"smoke-{domain}.json"
    if not path.is_file():
        return None
    found = read_json(path)
    return (found["tokens_per_second"], found["device"]) if found["launcher"] == "slurm" else None


@dataclass(frozen=True)
class Need:
    """What a stage needs on a GPU: hours, and bytes of GPU memory, memory and disk; None if unknown."""

    stage: str
    card: str
    hours: float | None
    gpu: int | None
    memory: int | None
    disk: int | None

    def cells(self) -> list[str]:
        sizes = (self.gpu, self.memory, self.disk)
        return [
            self.stage,
            self.card,
            "-" if self.hours is None else f"{self.hours:.2f}" if self.hours >= 0.01 else "< 0.01",
            *("-" if size is None else f"{size / preflight.GB:.1f} GB" for size in sizes),
        ]


def table(needs: list[Need]) -> str:
    """One row per stage and GPU, and with several stages a total per GPU."""
    rows = [["stage", "GPU", "hours", "GPU memory", "memory", "disk"], *(need.cells() for need in needs)]
    for card in dict.fromkeys(need.card for need in needs):
        known = [need.hours for need in needs if need.card == card and need.hours is not None]
        disks = [need.disk for need in needs if need.card == card and need.disk is not None]
        if len({need.stage for need in needs}) > 1:
            rows.append(Need("total", card, sum(known), None, None, sum(disks)).cells())
    return align(rows)


def trainings(domains: list[str], settings: Cluster) -> tuple[list[Need], list[str]]:
    """What the trainings need, and remarks."""
    train, model, limit = config.load().active.train, estimates.model_in(MODELS / "base"), seconds(settings.time) / 3600
    processes = settings.nodes * max(settings.gpus, 1)
    host = estimates.host_bytes(model, train, settings.gpus, settings.nodes)
    needs: list[Need] = []
    remarks, computed = [], []
    for domain in domains:
        text, speed = estimates.text_in(TOKENS / domain), measured(domain)
        disk = estimates.state_bytes(model, train, text) + estimates.models_bytes(model, train)
        for feature in alternatives(settings.constraint) or ["any" if settings.gpus else "none"]:
            card = card_of(feature) if settings.gpus else None
            took = (
                estimates.tokens_seen(train, text) / speed[0] / 3600
                if speed
                else hours.train(model, train, text, card.tflops, processes)
                if card
                else None
            )
            half = train.precision != "fp32"  # every known GPU supports fp16
            memory = estimates.card_bytes(model, train, processes, half) if settings.gpus else None
            needs.append(Need(f"train@{domain}", feature, took, memory, host, disk))
            if took and took > limit:
                remarks.append(
                    f"{domain} on {feature}: {took:.1f} hours, but the time limit is {settings.time}: "
                    f"it will be restarted {int(took / limit)} times"
                )
        if speed:
            remarks.append(
                f"{domain}: hours from {speed[0]:,} tokens per second, measured by dapt launch --smoke on {speed[1]}"
            )
        else:
            computed.append(domain)
    if computed:
        remarks.append(
            f"{', '.join(computed)}: hours are estimated, at {SHARE:.0%} of the GPU's peak; "
            "measure the speed with dapt launch --smoke"
        )
    return needs, remarks


def others(stages: list[str], params: Params, settings: Cluster) -> tuple[list[Need], list[str]]:
    """What the repair of the base, evaluations and fine-tunings need, each on one GPU, and remarks."""
    model, tasks = estimates.model_in(MODELS / "base"), params.active_tasks
    task_of = {f"finetune@{task}-{name}": task for task in tasks for name in params.finetuned}
    used = {task_of[stage] for stage in stages if stage in task_of}
    reads = {task: hours.sequences_of(task, tasks[task]) for task in tasks if task in used}
    needs = []
    for stage, feature in itertools.product(stages, alternatives(settings.constraint) or ["any"]):
        card = card_of(feature) if settings.gpus else None
        took, gpu, disk = None, None, None if stage.startswith("evaluate@") else 4 * model.parameters
        if task := task_of.get(stage):
            if read := reads[task]:
                gpu = hours.finetune_bytes(model, params, tasks[task], read)
                took = hours.finetune(model, params, tasks[task], read, card.tflops) if card else None
        elif card:
            took = (hours.base if stage == "base" else hours.evaluate)(model, params, card.tflops)
        needs.append(Need(stage, feature if settings.gpus else "none", took, gpu, None, disk))
    remarks = [
        f"{SPLIT / 'tasks' / task} does not exist, so its hours are unknown; create it with `dvc repro split`"
        for task, read in reads.items()
        if read is None
    ]
    if any(need.hours is not None for need in needs):
        remarks.append(
            f"base, evaluate, finetune: hours are estimated, at {SHARE:.0%} of the GPU's peak and at least "
            f"{hours.STEP * 1000:.0f} ms per step"
        )
    return needs, remarks


def to_run(targets: list[str], params: Params) -> list[str]:
    """The stages that use a GPU and still have to run; outside a DVC repository, where that is unknown, the trainings."""
    if not Path(".dvc").is_dir():
        every = [f"train@{name}" for name in params.domains]
        wanted = pipeline.chosen(targets, every, params.domains)
        return [name for name in every if name in wanted]
    found = pipeline.outdated(targets, params.domains, background.running)
    return [name for name in found if name.partition("@")[0] in ("base", "train", "evaluate", "finetune")]


def run(targets: list[str], partition: str | None) -> None:
    params = config.load()
    settings = choose(partition, settings_of_slurm())
    stages = to_run(targets, params)
    domains = [stage.removeprefix("train@") for stage in stages if stage.startswith("train@")]
    print(starts(settings), end="\n\n", flush=True)
    needs, remarks = trainings(domains, settings)
    more, unknown = others([stage for stage in stages if not stage.startswith("train@")], params, settings)
    print(table(needs + more), *remarks, *unknown, sep="\n", flush=True)
    if domains:
        for line in preflight.look(domains, settings):
            print(line)
