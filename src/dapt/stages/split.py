"""`dapt split`: data/processed → data/split, so that what a model is judged on is in no training set
(dapt.corpus.splitting).
"""

from dapt.core import config
from dapt.core.files import made_from, whole_folder, write_json
from dapt.core.paths import METRICS, PROCESSED, SPLIT
from dapt.corpus.splitting import split_all


def run() -> None:
    params = config.load()
    with whole_folder(SPLIT) as folder:
        report = split_all(params, PROCESSED, folder)
    write_json(METRICS / "split.json", report | {"made_from": made_from(PROCESSED)})
    for domain, sides in report["sets"].items():
        print(
            f"{domain}: "
            + ", ".join(f"{side} {n['documents']} documents in {n['groups']} groups" for side, n in sides.items())
        )
