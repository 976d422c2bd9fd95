"""`dapt doctor`: checks what a training needs on this machine; one line per fact, and how to fix each problem."""

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
    problem: str | None = None  # and how to fix it


def build(version: str, cuda: str | None, built_for: tuple[str, ...], gpu: bool, driver: bool) -> Fact:
    """About torch: its build, and whether it sees a GPU although NVIDIA's driver is installed."""
    if not cuda:
        problem = (
            "NVIDIA's driver is installed, but this torch is a CPU build; docs/install.md shows how to install a CUDA "
            "build"
        )
        return Fact("torch", f"{version}, a CPU build", problem if driver else None)
    problem = (
        f"NVIDIA's driver is installed, but torch sees no GPU; check with nvidia-smi whether the driver is older than "
        f"CUDA {cuda}; docs/install.md shows how to install an older build of torch"
    )
    return Fact(
        "torch", f"{version}, CUDA {cuda}, code for {', '.join(built_for)}", problem if driver and not gpu else None
    )


def device(found: Device, asked: str) -> tuple[Fact, Fact]:
    """The device, and the precision that a training would have on it."""
    capability = f", compute capability {'.'.join(map(str, found.capability))}" if found.kind == "cuda" else ""
    name = found.name + capability
    try:
        check_built_for(found)
        return Fact("device", name), Fact("precision", f"{decide(asked, found)} (train.precision: {asked})")
    except UserError as error:
        return Fact("device", name), Fact("precision", "none", str(error))


def computes(found: Device) -> Iterator[Fact]:
    """Whether a GPU computes correctly."""
    if found.kind != "cuda":
        return
    try:
        yield Fact("self-test", *self_test(torch.device("cuda"), [half for half in HALVES if getattr(found, half)]))
    except torch.OutOfMemoryError:
        yield Fact("self-test", "not enough memory", out_of_memory("no training fits on this GPU"))
    except RuntimeError as error:
        yield Fact("self-test", "failed", f"a few steps on {found.name} failed: {short(error)}")


def threads(wanted: int, cores: int) -> Fact:
    problem = (
        f"train.threads is {wanted}, but only {cores} cores are available here, so a training is slow; results depend "
        "on the number of threads, so train on a machine with enough cores"
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
        away = "Slurm's controller does not answer (see `scontrol ping`); a training will wait for it"
        yield Fact("slurm", "srun is installed, but no controller answers", away if launcher == "slurm" else None)
        return
    yield Fact("slurm", f"{ask('srun', '--version')[1]}, the controller answers")
    lines = ask("sinfo", "-h", "-o", "%R %a: %D nodes, %G, features %f, %c CPUs, %m MB, time %l")[1].splitlines()
    there = {line.split()[0] for line in lines}
    lacking = [name for name in settings.every_partition() if name not in there] if settings else []
    unknown = (
        f"partitions in {CLUSTER} has {', '.join(lacking)}, which does not exist or is not visible to you; choose "
        "one that `sinfo -s` lists"
    )
    yield Fact("partitions", "; ".join(lines) or "none", unknown if lacking else None)


def disks(train: Train, domains: list[str]) -> Iterator[Fact]:
    """Free space for the repository and the checkpoints, and whether the largest training fits."""
    state = resume.root()
    for what, path in (("the repository", Path.cwd()), ("checkpoints", state)):
        yield Fact(
            f"disk of {what}", f"{shutil.disk_usage(preflight.existing(path)).free / preflight.GB:.1f} GB free ({path})"
        )
    ready = [domain for domain in domains if token_files(TOKENS / domain, "train")[1].is_file()]
    if not ready or not (MODELS / "base/config.json").is_file():
        yield Fact("a training writes", "unknown until tokens and models/base exist (dvc repro)")
        return
    model = estimates.model_in(MODELS / "base")
    texts = {domain: estimates.text_in(TOKENS / domain) for domain in ready}
    largest = max(texts, key=lambda domain: texts[domain].tokens)
    written = preflight.disks(largest, state, train, model, texts[largest])
    short = ", ".join(disk.where for disk in written if disk.needed > disk.free)
    yield Fact(
        "a training writes",
        ", ".join(f"{disk.needed / preflight.GB:.1f} GB to {disk.where}" for disk in written),
        f"free some space in {short}, or set DAPT_STATE to another folder for checkpoints" if short else None,
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
    """All facts; settings that cannot be read are reported as a fact too."""
    driver = shutil.which("nvidia-smi") is not None
    yield build(torch.__version__, torch.version.cuda, preflight.built_for(), torch.cuda.is_available(), driver)
    for name, look in (("training", training), ("launcher", launching)):
        try:
            yield from look()
        except UserError as error:
            yield Fact(name, "the settings are wrong", str(error))
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
