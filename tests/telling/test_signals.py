"""Signals that ask a run to leave."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import atexit, os, signal, sys
from dapt.telling import signals
heard = []
signals.listen(heard.append)
os.kill(os.getpid(), signal.{name})
assert heard == [signal.{name}], heard
signals.ignore()
atexit.register(lambda: os.kill(os.getpid(), signal.{name}))
class Late:
    def __del__(self, kill=os.kill, pid=os.getpid()):
        kill(pid, {number})  # when Python has reset its handlers
sys.late = Late()
raise SystemExit(signals.CODE)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_that_comes_while_python_ends_does_not_change_the_exit_code(name):
    script = SCRIPT.format(name=name, number=int(getattr(signal, name)))
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 75
