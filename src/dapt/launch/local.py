"""`dapt train X` on this machine: `accelerate launch -m dapt.train X`, in one process, with the threads of params.yaml."""

import os
import subprocess

from accelerate.commands.launch import launch_command, launch_command_parser

from dapt import config
from dapt.errors import UserError


def train(domain: str) -> None:
    params = config.load()
    if domain not in params.domains:
        raise UserError(f"params.yaml knows no domain {domain!r}; it has: {', '.join(params.domains)}")
    threads = params.active.train.threads
    os.environ["OMP_NUM_THREADS"] = str(threads)
    arguments = ["--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
                 "--num_cpu_threads_per_process", str(threads), "--module", "dapt.train", domain]
    try:
        launch_command(launch_command_parser().parse_args(arguments))
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None  # its own line stands on the screen already
