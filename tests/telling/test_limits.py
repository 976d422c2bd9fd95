"""The limits that login nodes set for each process (ulimit) end a command with one line, not with `Killed` or a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

DAPT = [sys.executable, "-m", "dapt"]
ELSEWHERE = "; run it on a compute node (groups in slurm/cluster.yaml), or with a higher limit\n"


def limited(folder: Path, limit: str, *command: str) -> subprocess.CompletedProcess:
    """A command in a shell with this limit."""
    words = ["bash", "-c", f'ulimit {limit} && exec "$@"', "bash", *command]
    return subprocess.run(words, cwd=folder, text=True, capture_output=True)


@pytest.mark.parametrize("limit, seconds", [("-t 2", 2), ("-St 1", 1)])  # at a hard limit the kernel kills at once
def test_cpu_time_that_is_used_up_is_one_line_and_leaves_nothing(tmp_path, limit, seconds):
    raw = tmp_path / "raw.txt"
    raw.write_text("".join(f"{number} is a line of a text that takes a while to clean\n" for number in range(500_000)))
    command = ("clean", "--cleaner", "text", "--raw", "raw.txt", "--out", "rows.jsonl", "--report", "report.json")
    done = limited(tmp_path, limit, *DAPT, *command)
    said = f"dapt clean: the CPU time of a process is limited to {seconds} s (ulimit -t){ELSEWHERE}"
    assert (done.returncode, done.stderr) == (2, said) and list(tmp_path.iterdir()) == [raw]


@pytest.mark.parametrize(
    "gigabytes, program",
    [
        (1, "bytearray(10**10)"),
        (1, "__import__('numpy').ones(10**10)"),
        (0.2, "__import__('torch')"),  # the libraries of torch do not fit
        (8, "__import__('torch').ones(10**10)"),
    ],
)
def test_memory_that_is_used_up_is_one_line(tmp_path, gigabytes, program):
    script = f"from dapt.telling.errors import guarded\nraise SystemExit(guarded('dapt split', lambda: {program}))"
    done = limited(tmp_path, f"-v {int(gigabytes * 1e6 / 1.024)}", sys.executable, "-c", script)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    said = f"dapt split: out of memory: a process may have {gigabytes:.1f} GB (ulimit -v){ELSEWHERE}"
    assert done.stderr.endswith(said), done.stderr


def test_a_limit_that_suffices_changes_nothing(tmp_path):
    (tmp_path / "raw.txt").write_text("This is a line that is long enough to be kept.\n")
    command = ("clean", "--cleaner", "text", "--raw", "raw.txt", "--out", "rows.jsonl", "--report", "report.json")
    done = limited(tmp_path, "-t 600 && ulimit -v 4000000", *DAPT, *command)
    assert (done.returncode, done.stderr) == (0, "") and "1 rows in, 1 kept" in done.stdout


def test_an_error_of_another_kind_stays_a_bug(tmp_path):
    script = "from dapt.telling.errors import guarded\nguarded('dapt split', lambda: __import__('no_such_module'))"
    done = limited(tmp_path, "-t 600", sys.executable, "-c", script)
    assert done.returncode == 1 and "ModuleNotFoundError" in done.stderr
