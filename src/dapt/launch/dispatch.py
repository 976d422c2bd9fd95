"""Chooses where a stage runs: on this machine (a training: local.py) or through Slurm (slurm.py)."""

import os

from dapt.core import config
from dapt.core.config import Profile
from dapt.core.paths import events_of
from dapt.launch import cluster
from dapt.launch.cluster import Cluster


def train(domain: str) -> None:
    """Train locally or through Slurm, as DAPT_LAUNCHER or slurm/cluster.yaml says."""
    with events_of("train", domain).failures():
        threads = config.load().active.train.threads
        if settings := asked_for("train"):
            from dapt.launch import plan, slurm

            return slurm.train(domain, threads, plan.choose(os.environ.get("DAPT_PARTITION"), settings))
    from dapt.launch import local

    return local.start(domain, threads)


def through_slurm(stage: str, *names: str) -> bool:
    """Run a stage other than train through Slurm, if slurm/cluster.yaml sends it there; else return False and do nothing."""
    settings = asked_for(stage)
    if settings is None:
        return False
    from dapt.launch import slurm

    with events_of(stage, "-".join(names)).failures():
        if settings.gpus and (partition := os.environ.get("DAPT_PARTITION")):
            from dapt.launch import plan

            settings = plan.choose(partition, settings)
        slurm.stage(stage, names, threads_of(stage, config.load().active, settings), settings)
    return True


def asked_for(stage: str) -> Cluster | None:
    return cluster.through_slurm(stage, os.environ.get("DAPT_LAUNCHER"), cluster.load())


def threads_of(stage: str, profile: Profile, settings: Cluster) -> int:
    """How many CPUs a stage other than train can use on a node: without a GPU, the seeds of a fine-tuning are trained in
    parallel."""
    tuning = profile.finetune
    known = {
        "base": profile.train.threads,
        "evaluate": profile.evaluate.threads,
        "finetune": tuning.threads * (1 if settings.gpus else len(tuning.seeds)),
    }
    return settings.cpus or known.get(stage, 1)
