import json

from dapt.core.files import numbers
from dapt.reporting.original_runs import ORIGINAL_RUNS, table


def test_a_training_is_below_the_original_projects_and_times_are_there_on_demand(committed_metrics):
    trained = numbers(committed_metrics / "train")
    plain, timed = (table(trained, took).splitlines() for took in (None, dict.fromkeys(trained, "33 s")))
    assert len(plain) == len(timed) == 2 + len(trained) + len(ORIGINAL_RUNS.keys() & trained)
    assert {line.count("|") for line in plain} == {9} and {line.count("|") for line in timed} == {10}
    ours = json.loads((committed_metrics / "train/biomed.json").read_text())
    assert plain[2] == "| biomed | original project | 13,656 | – | 2000 | 7.0465 | 6.7736 | 419 MB |"
    assert plain[3] == (
        f"| biomed | this one | {ours['documents']:,} | {ours['tokens']:,} | {ours['steps']} | {ours['first_loss']} | "
        f"{ours['last_loss']} | 18 MB |"
    )
    assert timed[2].endswith("| 419 MB | 3 h 55 min |") and timed[3].endswith(" | 18 MB | 33 s |")
    assert "3 h" not in "".join(plain) and plain[-1].startswith("| general | this one | ")
