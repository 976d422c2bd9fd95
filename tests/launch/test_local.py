"""What `accelerate launch` is given."""

from dapt.launch import local


def test_accelerate_is_given_the_machines_and_processes():
    one = local.arguments("biomed", 2, local.Place())
    assert "--multi_gpu" not in one and one[-3:] == ["--module", "dapt.stages.train", "biomed"]
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
