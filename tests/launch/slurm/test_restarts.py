"""Everything that ends a job of `dapt train` early, on a real Slurm: it is started again, or says why not."""

import re

from slurm_runs import same


def test_two_nodes_that_are_asked_to_leave_save_before_they_end(train, cluster):
    run = train(nodes=2)
    cluster.ask("scancel", "--signal=USR1", run.wait_for_checkpoint())
    assert "slurm: restart 1" in run.end()
    left, resumed = (re.search(rf"{words} at step (\d+)", run.said())[1] for words in ("saved", "resumed"))
    assert left == resumed


def test_asked_to_leave_before_its_time_limit_it_is_started_again(train, cluster, alone):
    run = train()
    first = run.wait_for_checkpoint()
    cluster.ask("scancel", "--signal=USR1", first)  # what --signal=USR1@120 does
    said = run.end()
    assert re.search(rf"slurm: restart 1, after job {first} \(asked to stop\), from step \d+", said)
    left, resumed = (re.search(rf"{words} at step (\d+)", said)[1] for words in ("saved", "resumed"))
    assert left == resumed and same(run.folder, alone)
    second = re.findall(r"job (\d+) on", said)[-1]
    assert "slurm: restart 1" in (run.folder / f"logs/train-biomed-{second}.log").read_text().splitlines()[0]


def test_cut_off_by_its_time_limit_it_is_started_again(train, cluster, alone):
    run = train()
    first = run.wait_for_checkpoint()
    cluster.ask("scancel", "--signal=STOP", first)  # until Slurm looks at the limits, and sends CONT and TERM
    cluster.ask("scontrol", "update", f"jobid={first}", "EndTime=now+1")
    run.end()
    assert f"slurm: restart 1, after job {first} (TIMEOUT)" in run.said() and same(run.folder, alone)


def test_when_its_node_goes_down_it_is_started_again(train, cluster, alone):
    run = train()
    first = run.wait_for_checkpoint()
    node = re.search(r"job \d+ on (\S+)", run.said())[1]
    cluster.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        run.end()
    finally:
        cluster.ask("scontrol", "update", f"nodename={node}", "state=resume")
    assert f"slurm: restart 1, after job {first} (NODE_FAIL)" in run.said() and same(run.folder, alone)


def test_cancelled_it_is_not_started_again_and_goes_on_when_asked(train, cluster, alone):
    run = train()
    number = run.wait_for_checkpoint()
    cluster.ask("scancel", number)
    said = run.end(2)
    assert re.search(rf"dapt train: job {number} was cancelled at step \d+; run again to continue there", said)
    assert "restart" not in said and "Traceback" not in said
    run.start()
    assert "resumed at step" in run.end() and same(run.folder, alone)


def test_without_progress_it_gives_up(train, cluster):
    run = train(restarts_without_progress=1, setup=["kill -USR1 $$"])
    said = run.end(2)
    assert said.count("slurm: restart") == 1
    assert re.search(r"job \d+ ended \(asked to stop\), and 2 jobs in a row have saved nothing new", said)
