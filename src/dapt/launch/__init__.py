"""Where a training runs: on this machine (local.py) or through Slurm (slurm.py). Nothing in dvc.yaml knows."""

import os

from dapt import config
from dapt.errors import UserError
from dapt.launch import cluster


def train(domain: str) -> None:
    params = config.load()
    if domain not in params.domains:
        raise UserError(f"params.yaml knows no domain {domain!r}; it has: {', '.join(params.domains)}")
    threads = params.active.train.threads
    settings = cluster.load()
    if cluster.launcher(os.environ.get("DAPT_LAUNCHER"), settings) == "slurm":
        from dapt.launch import slurm

        return slurm.train(domain, threads, settings)
    from dapt.launch import local

    local.start(domain, threads)
