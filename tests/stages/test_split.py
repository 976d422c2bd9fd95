"""`dapt split`: the sets of every domain and task, and what is said of them."""

import json
import re

from dapt.core.files import read_lines, sha256
from dapt.stages import split


def test_it_writes_the_sets_that_it_counts_and_the_same_bytes_again(workspace, capsys):
    before = sha256(workspace / "data/split"), (workspace / "metrics/split.json").read_bytes()
    split.run()
    assert (sha256(workspace / "data/split"), (workspace / "metrics/split.json").read_bytes()) == before
    report, said = json.loads(before[1]), capsys.readouterr().out
    for corpus, found in report["corpora"].items():
        line = next(line for line in said.splitlines() if line.startswith(f"{corpus}: "))
        kept, rows, *reasons = (int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", line[len(corpus) :]))
        assert (kept, rows) == (found["kept"], found["rows"]) and kept + sum(reasons) == rows, line
    for domain, sides in report["sets"].items():
        for side, counted in sides.items():
            rows = list(read_lines(workspace / f"data/split/{domain}/{side}.jsonl"))
            assert counted["documents"] == len(rows) > 0
            assert counted["groups"] == len({row["group"] for row in rows})
    assert report["made_from"] == [{"path": "data/processed", "sha256": sha256(workspace / "data/processed")}]
