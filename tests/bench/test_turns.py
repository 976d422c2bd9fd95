"""A run of a bench in a process of its own."""

import subprocess
import sys

SCRIPT = """
import os
from dapt.bench.turns import apart
from tempfile import gettempdir
if __name__ == "__main__":
    print(apart(os.system, "echo of a child of the run"), apart(print, "of the run"), apart(gettempdir) == gettempdir())
"""


def test_what_a_run_prints_is_not_on_standard_output(tmp_path):
    (tmp_path / "bench.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "bench.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout == "0 None True\n" and {"of the run", "of a child of the run"} <= set(done.stderr.splitlines())
