"""A training on this machine, alone or as one of several (node.py): as one process `python -m dapt.stages.train X`, as
several `accelerate launch --module dapt.stages.train X`, whose import takes seconds.

A signal that asks to leave is passed on to the training, which answers it by its exit code.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass

import psutil

from dapt.telling import signals


@dataclass(frozen=True)
class Place:
    """A machine's part in a training; the first machine of several is met at `address`:`port`."""

    machines: int = 1
    rank: int = 0
    processes: int = 1  # on each machine
    address: str = "127.0.0.1"
    port: int = 0  # 0: any, where there is one machine

    @property
    def total(self) -> int:
        """Processes on all machines."""
        return self.machines * self.processes


def arguments(domain: str, threads: int, place: Place) -> list[str]:
    """What `accelerate launch` is given for several processes. The training decides on its precision itself."""
    return [
        "--num_processes",
        str(place.total),
        "--num_machines",
        str(place.machines),
        "--multi_gpu",  # also what starts several without a GPU
        "--machine_rank",
        str(place.rank),
        "--main_process_ip",
        place.address,
        "--main_process_port",
        str(place.port),
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


def start(domain: str, threads: int, place: Place = Place()) -> None:
    """Train; a training that fails has said why, and its exit code is raised as SystemExit."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["PET_SIGNALS_TO_HANDLE"] = "SIGQUIT"  # torchrun leaves the others to us
    try:
        returned = _several(arguments(domain, threads, place)) if place.total > 1 else _one(domain)
    finally:  # the training has ended: a signal that comes now must not change the exit code
        signals.ignore(signals.ASKS)
    if -returned in signals.ASKS:
        print(f"{domain}: asked to leave before it had begun; run the same command again", flush=True)
        raise SystemExit(signals.CODE)
    if returned:
        raise SystemExit(returned)


def _pass_on(number: int) -> None:
    """To the processes of the training; ^C as SIGTERM, which ends one that does not listen yet without a traceback."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGTERM if number == signals.INTERRUPT else number)


def _one(domain: str) -> int:
    """The return code of a training by a single process, which ^C reaches through this one alone."""
    signals.listen(_pass_on)
    signals.ignore([signals.INTERRUPT])
    training = subprocess.Popen([sys.executable, "-m", "dapt.stages.train", domain])
    signals.listen(_pass_on, [signals.INTERRUPT])
    return training.wait()


def _several(options: list[str]) -> int:
    """That of the first process that failed, or 0."""
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    signals.listen(_pass_on, signals.ASKS)
    try:
        launch_command(launch_command_parser().parse_args(options))
    except subprocess.CalledProcessError as error:
        return error.returncode
    except ChildFailedError as error:
        return error.get_first_failure()[1].exitcode
    return 0
