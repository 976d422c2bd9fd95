"""Where a stage runs: on this machine (a training: local.py) or through Slurm (slurm.py). Nothing in dvc.yaml knows."""

import os

from dapt.core import config
from dapt.launch import cluster


def train(domain: str) -> None:
    threads = config.load().active.train.threads
    settings = cluster.load()
    if cluster.launcher(os.environ.get("DAPT_LAUNCHER"), settings) == "slurm":
        from dapt.launch import plan, slurm

        return slurm.train(domain, threads, plan.choose(os.environ.get("DAPT_PARTITION"), settings))
    from dapt.launch import local

    local.start(domain, threads)


def through_slurm(command: str, name: str | None = None) -> bool:
    """Run a stage other than train where slurm/cluster.yaml sends it; False: it is not sent, and nothing was run."""
    settings = cluster.load()
    if cluster.launcher(os.environ.get("DAPT_LAUNCHER"), settings) == "local" or command not in settings.cpu.stages:
        return False
    from dapt.launch import slurm

    slurm.stage(command, name, settings)
    return True
