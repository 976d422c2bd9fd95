"""Finds problems before a job is queued: `look` gathers facts, `check` judges them."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from dapt.core import config
from dapt.core.config import Train
from dapt.core.paths import CLUSTER, MODELS, TOKENS
from dapt.launch import estimates, remote
from dapt.launch.cluster import Cluster
from dapt.launch.estimates import Model, Text
from dapt.launch.gpus import Card, alternatives, card_of
from dapt.telling.errors import UserError
from dapt.training import resume
from dapt.training.optimization.device import check_built_for, decide

GB = 1e9
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Disk:
    where: str
    needed: int  # bytes
    free: int


@dataclass(frozen=True)
class Facts:
    torch: str  # version
    built_for: tuple[str, ...]  # GPU architectures; empty: a CPU build
    model: Model
    disks: list[Disk]
    remote: str | None = None  # what is wrong with the DVC remote


def check(cluster: Cluster, train: Train, facts: Facts) -> list[str]:
    """Notes for the user before the job is queued; a UserError if the job cannot succeed."""
    notes = []
    if cluster.gpus and not facts.built_for:
        notes.append(
            f"this torch ({facts.torch}) is a CPU build and will not use the GPU; "
            "docs/install.md shows how to install a CUDA build"
        )
    elif cluster.gpus and cluster.constraint:
        for feature in alternatives(cluster.constraint):
            notes += check_card(feature, cluster, train, facts)
    elif cluster.gpus:
        notes.append(f"no GPU type is requested (constraint in {CLUSTER}): the training checks the one it gets")
    host = estimates.host_bytes(facts.model, train, cluster.gpus, cluster.nodes)
    if 0 < memory_bytes(cluster.memory) < host:
        raise UserError(
            f"the training needs about {host / GB:.1f} GB of memory per node, but memory in {CLUSTER} is "
            f"{cluster.memory}; raise it"
        )
    for disk in facts.disks:
        if disk.needed > disk.free:
            raise UserError(
                f"the training writes {disk.needed / GB:.1f} GB to {disk.where}, which has only "
                f"{disk.free / GB:.1f} GB free; free some space there, or set DAPT_STATE to another folder for "
                "checkpoints"
            )
    return [*notes, facts.remote] if facts.remote else notes


def check_card(feature: str, cluster: Cluster, train: Train, facts: Facts) -> list[str]:
    """The checks for one of the alternatives of `constraint`."""
    card = card_of(feature)
    if card is None:
        return [f"{feature}: not a known GPU; the training checks it when it starts"]
    device = card.device(facts.built_for)
    check_built_for(device)
    half = decide(train.precision, device) != "fp32"
    return check_memory(card, cluster.nodes * cluster.gpus, train, facts.model, half)


def check_memory(card: Card, processes: int, train: Train, model: Model, half: bool) -> list[str]:
    """Check the GPU's memory: a single process splits its batch until it fits, several processes cannot."""

    def needed(parts: int) -> int:
        return estimates.card_bytes(model, train.model_copy(update={"parts": parts}), processes, half)

    has, share = card.memory * 2**30, train.batch // processes
    if needed(train.parts) <= has:
        return []
    more = (parts for parts in range(train.parts + 1, share + 1) if share % parts == 0)
    fits = next((parts for parts in more if needed(parts) <= has), None)
    short = (
        f"the training needs about {needed(train.parts) / GB:.1f} GB of GPU memory, but {card.name} has "
        f"{card.memory} GB"
    )
    if fits is None:
        raise UserError(
            f"{short}, too little even for one window at a time; request a larger GPU, or make train.window smaller"
        )
    if processes > 1:
        raise UserError(f"{short}; set train.parts to {fits}, or request a larger GPU")
    return [f"{short}; it will split its batch into parts (set train.parts to {fits} to do so from the start)"]


def memory_bytes(memory: str) -> int:
    """Parse Slurm's --mem: MiB without a unit; 0 means all memory of the node.

    >>> memory_bytes("2G") == memory_bytes("2048") == 2 * 2**30
    True
    """
    number, unit = memory.rstrip("KMGT"), memory.lstrip("0123456789")
    return int(number) * UNITS[unit or "M"]


def built_for() -> tuple[str, ...]:
    """The GPU architectures that this torch has code for, even on a machine without a GPU."""
    return tuple((torch._C._cuda_getArchFlags() or "").split()) if torch.version.cuda else ()


def existing(path: Path) -> Path:
    """The folder, or the existing folder in which it would be created."""
    path = path.resolve()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def named(path: Path) -> str:
    """A folder's name for messages, relative to the repository."""
    path, here = path.resolve(), Path.cwd()
    return "the repository" if path == here else str(path.relative_to(here) if path.is_relative_to(here) else path)


def disks(domain: str, state: Path, train: Train, model: Model, text: Text) -> list[Disk]:
    """The file systems that a training writes to, and how much it writes in addition to files of an earlier start; its
    checkpoints go to `state`."""
    there = sum(
        file.stat().st_size for folder in resume.folders(state, domain) for file in folder.rglob("*") if file.is_file()
    )
    needed: dict[Path, int] = {}
    for path, size in (
        (state, max(0, estimates.state_bytes(model, train, text) - there)),
        (MODELS, estimates.models_bytes(model, train)),
    ):
        place = existing(path)
        same = next((other for other in needed if os.stat(other).st_dev == os.stat(place).st_dev), place)
        needed[same] = needed.get(same, 0) + size
    return [Disk(named(place), size, shutil.disk_usage(place).free) for place, size in needed.items()]


def facts_of(domains: list[str], train: Train) -> Facts:
    """Facts about the trainings of these domains."""
    model, texts = estimates.model_in(MODELS / "base"), {name: estimates.text_in(TOKENS / name) for name in domains}
    wrong, state = remote.look().problem if Path(".dvc").is_dir() else None, resume.root()
    written = [disk for name, text in texts.items() for disk in disks(name, state, train, model, text)]
    return Facts(torch.__version__, built_for(), model, written, wrong)


def look(domains: list[str], cluster: Cluster) -> list[str]:
    train = config.load().active.train
    return check(cluster, train, facts_of(domains, train))
