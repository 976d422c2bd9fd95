"""`dapt train X` on this machine: `accelerate launch -m dapt.train X`, in one process, with the threads of params.yaml.

A signal that asks to leave is passed on to the training, which answers it by its exit code.
"""

import os
import subprocess

import psutil
from accelerate.commands.launch import launch_command, launch_command_parser

from dapt import config, leave
from dapt.errors import UserError


def train(domain: str) -> None:
    params = config.load()
    if domain not in params.domains:
        raise UserError(f"params.yaml knows no domain {domain!r}; it has: {', '.join(params.domains)}")
    threads = params.active.train.threads
    os.environ["OMP_NUM_THREADS"] = str(threads)
    arguments = ["--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
                 "--num_cpu_threads_per_process", str(threads), "--module", "dapt.train", domain]

    def pass_on(number: int) -> None:
        for child in psutil.Process().children():
            child.send_signal(number)

    try:
        with leave.on_signal(pass_on):
            launch_command(launch_command_parser().parse_args(arguments))
    except subprocess.CalledProcessError as error:
        if -error.returncode in leave.SIGNALS:  # before it could listen: nothing is lost
            raise SystemExit(leave.CODE) from None
        raise SystemExit(error.returncode) from None  # its own line stands on the screen already
