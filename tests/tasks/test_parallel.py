"""Forked processes that work side by side; each test starts an interpreter of its own, which has no threads to lose."""

import os
import signal
import subprocess
import sys
import time

import psutil

PROGRAM = r"""
import os, sys, time
from dapt.tasks.parallel import side_by_side
from dapt.telling.errors import UserError

secret = object()  # can't be pickled, and need not be

def work(item):
    assert secret is not None
    if item == "refuse":
        raise UserError("refused: not this one")
    if item == "die":
        os._exit(9)
    if item == "wait":
        os.write(1, f"{os.getpid()}\n".encode())  # in one piece, whatever the other writes
        time.sleep(60)
    return item * 2, os.getpid()
"""


def program(*lines: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join([PROGRAM, *lines])],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def said(*lines: str) -> str:
    return program(*lines).communicate(timeout=50)[0]


def test_results_come_in_order_from_processes_of_their_own():
    print_all = "print([item for item, _ in found], len({process for _, process in found} - {os.getpid()}) > 0)"
    assert said("found = side_by_side(work, [3, 1, 2], 3)", print_all) == "[6, 2, 4] True\n"
    assert said("found = side_by_side(work, [3, 1, 2], 1)", print_all) == "[6, 2, 4] True\n"


def test_a_refusal_comes_through_and_ends_the_others():
    began = time.monotonic()
    lines = said(
        "try:", "    side_by_side(work, ['wait', 'refuse'], 2)", "except UserError as error:", "    print(error)"
    ).splitlines()
    assert lines[-1] == "refused: not this one" and time.monotonic() - began < 40
    for number in lines[:-1]:
        assert not psutil.pid_exists(int(number))


def test_one_that_is_killed_is_told_of():
    assert "a process was killed, most likely because memory ran out" in said(
        "try:", "    side_by_side(work, ['die', 1], 2)", "except UserError as error:", "    print(error)"
    )


def gone(number: int) -> bool:
    deadline = time.monotonic() + 20
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_without_their_parent_they_end():
    process = program("side_by_side(work, ['wait', 'wait'], 2)")
    numbers = [int(process.stdout.readline()) for _ in range(2)]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert all(map(gone, numbers))


def test_interrupted_all_end_at_once_and_only_the_parent_says_so():
    process = program(
        "try:", "    side_by_side(work, ['wait', 'wait'], 2)", "except KeyboardInterrupt:", "    print('interrupted')"
    )
    numbers = [int(process.stdout.readline()) for _ in range(2)]
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "interrupted\n"
    assert all(map(gone, numbers))
