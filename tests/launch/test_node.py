"""How the nodes of a job find each other."""

from dapt.launch import node


def test_the_meeting_point_is_another_one_after_a_requeue():
    variables = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}
    assert node.meeting_point(variables) != node.meeting_point(variables | {"SLURM_RESTART_COUNT": "1"})


def test_nodes_meet_where_the_first_one_is(tmp_path):
    path = tmp_path / "logs/first"
    with node.met(path, 0) as first, node.met(path, 1) as second:
        assert first == second and 0 < first[1] < 65536
    assert not path.exists()
