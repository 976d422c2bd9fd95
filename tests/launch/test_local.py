"""What `accelerate launch` is given."""

import subprocess
import sys

from dapt.launch import local


def test_accelerate_is_given_the_machines_and_processes():
    assert local.arguments("biomed", 2, local.Place(processes=2))[-3:] == ["--module", "dapt.stages.train", "biomed"]
    two = " ".join(local.arguments("biomed", 2, local.Place(2, 1, 4, "n1", 1234)))
    for option in (
        "--num_processes 8",
        "--num_machines 2",
        "--machine_rank 1",
        "--main_process_ip n1",
        "--main_process_port 1234",
        "--num_cpu_threads_per_process 2",
        "--multi_gpu",
    ):
        assert option in two


def test_one_process_needs_nothing_that_takes_seconds_to_import():
    said = "import sys, dapt.launch.local; print({'torch', 'accelerate'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", said], text=True, capture_output=True, check=True).stdout == "set()\n"
