"""`dapt split`: data/processed → data/split, so that no text on which a model is judged is in a training set
(dapt.corpus.splitting). Tasks that cannot work are refused here (dapt.tasks.checks).
"""

from collections import Counter

from dapt.core import config
from dapt.core.files import made_from, whole_folder, write_json
from dapt.core.paths import METRICS, PROCESSED, SPLIT
from dapt.corpus.splitting import Lines, split_all
from dapt.tasks.checks import check_sides


def run() -> None:
    params = config.load()
    with whole_folder(SPLIT) as folder:
        report = split_all(params, PROCESSED, folder)
        for name, task in params.active_tasks.items():
            train, test = (Lines(folder / "tasks" / name / f"{side}.jsonl") for side in ("train", "test"))
            check_sides(name, task, train, test)
    write_json(METRICS / "split.json", report | {"made_from": made_from(PROCESSED)})
    for corpus, found in report["corpora"].items():
        reasons: Counter[str] = Counter()
        for reason, count in found["dropped"].items():
            reasons[reason.split(": ")[-1]] += count  # of all sides together
        why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        print(f"{corpus}: {found['kept']:,} of {found['rows']:,} rows kept{f' (dropped: {why})' * bool(why)}")
    for domain, sides in report["sets"].items():
        print(
            f"{domain}: "
            + ", ".join(f"{side} {n['documents']:,} documents in {n['groups']:,} groups" for side, n in sides.items())
        )
