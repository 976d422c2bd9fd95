"""`accelerate launch --module dapt.stages.train X` on this machine, alone or as one of several (node.py).

A signal that asks to leave is passed on to the training, which answers it by its exit code.
"""

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass

import psutil
from accelerate.commands.launch import launch_command, launch_command_parser
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from dapt.telling import signals


@dataclass(frozen=True)
class Place:
    """A machine's part in a training; the first machine of several is met at `address`:`port`."""

    machines: int = 1
    rank: int = 0
    processes: int = 1  # on each machine
    address: str = "127.0.0.1"
    port: int = 0  # 0: any, where there is one machine


def arguments(domain: str, threads: int, place: Place) -> list[str]:
    """What `accelerate launch` is given. The training decides on its precision itself."""
    total = place.machines * place.processes
    several = (
        [
            "--multi_gpu",
            "--machine_rank",
            str(place.rank),
            "--main_process_ip",
            place.address,
            "--main_process_port",
            str(place.port),
        ]
        if total > 1
        else []
    )  # also what starts several without a GPU
    return [
        "--num_processes",
        str(total),
        "--num_machines",
        str(place.machines),
        *several,
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--num_cpu_threads_per_process",
        str(threads),
        "--module",
        "dapt.stages.train",
        domain,
    ]


def exit_code(returned: int) -> int:
    """Of a training's return code: one that a signal ended before it could listen has lost nothing."""
    return signals.CODE if -returned in signals.SIGNALS else returned


def start(domain: str, threads: int, place: Place = Place()) -> None:
    """Train; a training that fails has said why, and its exit code is raised as SystemExit."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["PET_SIGNALS_TO_HANDLE"] = "SIGINT"  # torchrun leaves the others to us

    def pass_on(number: int) -> None:
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                child.send_signal(number)

    signals.listen(pass_on)
    try:
        launch_command(launch_command_parser().parse_args(arguments(domain, threads, place)))
    except subprocess.CalledProcessError as error:
        raise SystemExit(exit_code(error.returncode)) from None
    except ChildFailedError as error:
        raise SystemExit(exit_code(error.get_first_failure()[1].exitcode)) from None
    finally:
        signals.ignore()  # the training has ended: one that comes now must not change the exit code
