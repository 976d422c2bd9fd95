import json

from dapt.core.files import numbers
from dapt.reporting.original_runs import table


def test_a_row_a_training_theirs_first_and_the_times_on_demand(committed_metrics):
    trained = numbers(committed_metrics / "train")
    plain, timed = (table(trained, took).splitlines() for took in (None, dict.fromkeys(trained, "33 s")))
    assert len(plain) == len(timed) == 2 + len(trained)
    assert {line.count("|") for line in plain} == {13} and {line.count("|") for line in timed} == {15}
    ours = json.loads((committed_metrics / "train/biomed.json").read_text())
    assert plain[2] == (
        f"| biomed | 13,656 | 2000 | 7.0465 | 6.7736 | 419 MB | {ours['documents']:,} | {ours['tokens']:,} | "
        f"{ours['steps']} | {ours['first_loss']} | {ours['last_loss']} | 18 MB |"
    )
    assert "| 419 MB | 3 h 55 min |" in timed[2] and timed[2].endswith(" | 18 MB | 33 s |")
    assert "3 h" not in "".join(plain)
    assert plain[-1].startswith("| general | – | – | – | – | – |")
