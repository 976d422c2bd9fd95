"""Where a stage runs: on this machine (a training: local.py) or through Slurm (slurm.py)."""

import os

from dapt.core import config
from dapt.core.paths import events_of
from dapt.launch import cluster


def train(domain: str) -> None:
    """Train where DAPT_LAUNCHER or slurm/cluster.yaml says."""
    with events_of("train", domain).failures():
        threads = config.load().active.train.threads
        if settings := cluster.through_slurm(os.environ.get("DAPT_LAUNCHER"), cluster.load()):
            from dapt.launch import plan, slurm

            return slurm.train(domain, threads, plan.choose(os.environ.get("DAPT_PARTITION"), settings))
    from dapt.launch import local

    return local.start(domain, threads)


def through_slurm(command: str, name: str = "") -> bool:
    """Run a stage other than train where slurm/cluster.yaml sends it; False: it is not sent, and nothing was run."""
    settings = cluster.through_slurm(os.environ.get("DAPT_LAUNCHER"), cluster.load())
    if settings is None or command not in settings.cpu.stages:
        return False
    from dapt.launch import slurm

    with events_of(command, name).failures():
        slurm.stage(command, name, settings)
    return True
