"""`dapt doctor`: what a training finds on this machine, a line a fact, and how to mend what is wrong with it."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from dapt.core import config
from dapt.core.config import Train
from dapt.core.paths import CLUSTER, MODELS, TOKENS
from dapt.launch import cluster, estimates, preflight, remote
from dapt.launch.slurm import NO_SRUN, ask
from dapt.mlm.tokens import token_files
from dapt.telling.errors import UserError, short
from dapt.telling.gpu_failures import out_of_memory
from dapt.tools.self_test import HALVES, self_test
from dapt.training import resume
from dapt.training.optimization.device import Device, check_built_for, decide, this_device


@dataclass(frozen=True)
class Fact:
    name: str
    text: str
    problem: str | None = None  # and how to mend it


def build(version: str, cuda: str | None, built_for: tuple[str, ...], gpu: bool, driver: bool) -> Fact:
    """Of torch, where it sees a GPU or not, on a machine with or without NVIDIA's driver."""
    if not cuda:
        problem = "NVIDIA's driver is here, but this torch is a CPU build; docs/install.md has the others"
        return Fact("torch", f"{version}, a CPU build", problem if driver else None)
    problem = (
        f"NVIDIA's driver is here, but torch sees no GPU: is the driver older than CUDA {cuda}? nvidia-smi "
        "says; docs/install.md has older builds"
    )
    return Fact(
        "torch", f"{version}, CUDA {cuda}, code for {', '.join(built_for)}", problem if driver and not gpu else None
    )


def device(found: Device, asked: str) -> tuple[Fact, Fact]:
    """And the precision that a training would have there."""
    capability = f", compute capability {'.'.join(map(str, found.capability))}" if found.kind == "cuda" else ""
    name = found.name + capability
    try:
        check_built_for(found)
        return Fact("device", name), Fact("precision", f"{decide(asked, found)} (train.precision: {asked})")
    except UserError as error:
        return Fact("device", name), Fact("precision", "none", str(error))


def computes(found: Device) -> Iterator[Fact]:
    """Whether a GPU computes what it should."""
    if found.kind != "cuda":
        return
    try:
        yield Fact("self-test", *self_test(torch.device("cuda"), [half for half in HALVES if getattr(found, half)]))
    except torch.OutOfMemoryError:
        yield Fact("self-test", "it did not fit", out_of_memory("no training fits here"))
    except RuntimeError as error:
        yield Fact("self-test", "it failed", f"a few steps on {found.name} failed: {short(error)}")


def threads(wanted: int, cores: int) -> Fact:
    problem = (
        f"train.threads is {wanted}, and this machine lends {cores} cores: a training here is slow; threads "
        "decide the bits, so train where there are as many"
    )
    return Fact("threads", f"{wanted} (train.threads), of {cores} cores", problem if wanted > cores else None)


def slurm(settings: cluster.Cluster | None, asked: str | None) -> Iterator[Fact]:
    launcher, here = cluster.launcher(asked, settings), shutil.which("srun") is not None
    why = "DAPT_LAUNCHER" if asked else str(CLUSTER) if settings else f"no {CLUSTER}"
    yield Fact(
        "launcher",
        f"{launcher} ({why})",
        NO_SRUN if launcher == "slurm" and not here else None,
    )
    if not here:
        yield Fact("slurm", "no srun on PATH")
        return
    if not ask("scontrol", "ping")[0]:
        away = "Slurm's controller does not answer: see `scontrol ping`; a training waits for it"
        yield Fact("slurm", "srun is here, but no controller answers", away if launcher == "slurm" else None)
        return
    yield Fact("slurm", f"{ask('srun', '--version')[1]}, the controller answers")
    lines = ask("sinfo", "-h", "-o", "%R %a: %D nodes, %G, features %f, %c CPUs, %m MB, time %l")[1].splitlines()
    there = {line.split()[0] for line in lines}
    lacking = [name for name in settings.every_partition() if name not in there] if settings else []
    unknown = (
        f"partitions in {CLUSTER} has {', '.join(lacking)}, which Slurm does not have or not show you; take "
        "one of its own"
    )
    yield Fact("partitions", "; ".join(lines) or "none", unknown if lacking else None)


def disks(train: Train, domains: list[str]) -> Iterator[Fact]:
    """Free space where the repository and the checkpoints lie, and whether the largest of the trainings fits."""
    state = resume.root()
    for what, path in (("the repository", Path.cwd()), ("checkpoints", state)):
        yield Fact(
            f"disk of {what}", f"{shutil.disk_usage(preflight.existing(path)).free / preflight.GB:.1f} GB free ({path})"
        )
    ready = [domain for domain in domains if token_files(TOKENS / domain, "train")[1].is_file()]
    if not ready or not (MODELS / "base/config.json").is_file():
        yield Fact("a training writes", "not known before tokens and models/base are there (dvc repro)")
        return
    model = estimates.model_in(MODELS / "base")
    texts = {domain: estimates.text_in(TOKENS / domain) for domain in ready}
    largest = max(texts, key=lambda domain: texts[domain].tokens)
    written = preflight.disks(largest, state, train, model, texts[largest])
    short = ", ".join(disk.where for disk in written if disk.needed > disk.free)
    yield Fact(
        "a training writes",
        ", ".join(f"{disk.needed / preflight.GB:.1f} GB to {disk.where}" for disk in written),
        f"make room at {short}, or name another place for checkpoints (DAPT_STATE)" if short else None,
    )


def training() -> Iterator[Fact]:
    params = config.load()
    train = params.active.train
    here = this_device()
    yield from device(here, train.precision)
    yield from computes(here)
    yield threads(train.threads, len(psutil.Process().cpu_affinity()))
    yield from disks(train, list(params.domains))


def launching() -> Iterator[Fact]:
    yield from slurm(cluster.load(), os.environ.get("DAPT_LAUNCHER"))


def facts() -> Iterator[Fact]:
    """All of them; settings that can't be read are a fact too."""
    driver = shutil.which("nvidia-smi") is not None
    yield build(torch.__version__, torch.version.cuda, preflight.built_for(), torch.cuda.is_available(), driver)
    for name, look in (("training", training), ("launcher", launching)):
        try:
            yield from look()
        except UserError as error:
            yield Fact(name, "its settings are wrong", str(error))
    found = remote.look()
    yield Fact("DVC remote", found.text, found.problem)


def run(as_json: bool) -> None:
    found = list(facts())
    problems = [fact.problem for fact in found if fact.problem]
    if as_json:
        named = {fact.name.lower().replace(" ", "_"): fact.text for fact in found}
        print(json.dumps(named | {"problems": problems}, indent=1))
        return
    for fact in found:
        print(f"{fact.name}: {fact.text}")
    for problem in problems:
        print(f"problem: {problem}")
    if not problems:
        print("no problems")
