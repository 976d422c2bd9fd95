"""An output in ASCII, as some batch systems have it, ends nothing."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_an_output_cannot_hold_are_replaced(encoding):
    program = "from dapt.telling.errors import guarded; guarded('x', lambda: print('1 × cpu → 0.5 ± 0.1, 模'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
    )
    expected = {"ascii": "1 x cpu -> 0.5 +- 0.1, ?\n", "latin-1": "1 × cpu -> 0.5 ± 0.1, ?\n"}[encoding]
    assert (done.returncode, done.stdout.decode(encoding), done.stderr) == (0, expected, b"")
