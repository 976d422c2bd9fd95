"""Runs a training on this machine, which may be one of several (node.py). A single process is `python -m dapt.stages.train X`;
several are `accelerate launch --module dapt.stages.train X`, whose import takes seconds.

A signal that asks to stop is passed on to the training, whose exit code tells whether it has saved.
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
    """A machine's part in a training; the machines connect to the first one at `address`:`port`."""

    machines: int = 1
    rank: int = 0
    processes: int = 1  # on each machine
    address: str = "127.0.0.1"
    port: int = 0  # 0: any free port, if there is only one machine

    @property
    def total(self) -> int:
        """Processes on all machines."""
        return self.machines * self.processes


def arguments(domain: str, threads: int, place: Place) -> list[str]:
    """Arguments of `accelerate launch` for several processes. The training chooses its precision itself."""
    return [
        "--num_processes",
        str(place.total),
        "--num_machines",
        str(place.machines),
        "--multi_gpu",  # also starts several processes without a GPU
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
    """Train; if the training fails, it has printed why, and its exit code is raised as SystemExit."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["PET_SIGNALS_TO_HANDLE"] = "SIGQUIT"  # torchrun leaves the other signals to us
    try:
        returned = _several(arguments(domain, threads, place)) if place.total > 1 else _one(domain)
    finally:  # the training has ended; a late signal must not change the exit code
        signals.ignore(signals.ASKS)
    if -returned in signals.ASKS:
        print(f"{domain}: stopped before the training had started; run the same command again", flush=True)
        raise SystemExit(signals.CODE)
    if returned:
        raise SystemExit(returned)


def _pass_on(number: int) -> None:
    """Pass a signal on to the training's processes; ^C as SIGTERM, so that a process without a handler ends without a
    traceback."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGTERM if number == signals.INTERRUPT else number)


def _one(domain: str) -> int:
    """Run a training in a single process, which gets ^C only through this one; return its exit code."""
    signals.listen(_pass_on)
    signals.ignore([signals.INTERRUPT])
    training = subprocess.Popen([sys.executable, "-m", "dapt.stages.train", domain])
    signals.listen(_pass_on, [signals.INTERRUPT])
    return training.wait()


def _several(options: list[str]) -> int:
    """Run a training in several processes; return the exit code of the first that failed, or 0."""
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
