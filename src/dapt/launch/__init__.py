"""Where a training runs: on this machine (local.py) or through Slurm (slurm.py). Nothing in dvc.yaml knows."""

import os

from dapt import config
from dapt.launch import cluster


def train(domain: str) -> None:
    threads = config.load().active.train.threads
    settings = cluster.load()
    if cluster.launcher(os.environ.get("DAPT_LAUNCHER"), settings) == "slurm":
        from dapt.launch import plan, slurm

        return slurm.train(domain, threads, plan.choose(os.environ.get("DAPT_PARTITION"), settings))
    from dapt.launch import local

    local.start(domain, threads)
