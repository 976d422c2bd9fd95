"""`dapt baseline T`: the results on task T without a neural network → metrics/tasks/T/{majority,WORDS}.json and predictions,
where WORDS is the word-count baseline that params.yaml names for the task.

A baseline learns from all training rows; in its metrics, `same_rows` has the result with only the rows on which encoders are
trained, `variants` those of the kind's other word counts. First of all, no test row's text may be in a pre-training set:
`dapt split` drops such texts and similar ones, and this stage checks its output again for equal texts.
"""

from dataclasses import replace

import numpy as np

from dapt.core import config
from dapt.core.files import made_from
from dapt.core.paths import SPLIT
from dapt.tasks import scoring
from dapt.tasks.baselines import check_unseen, check_words
from dapt.tasks.kinds import kind as kind_named


def run(task: str) -> None:
    params = config.load()
    settings, words = params.active_tasks[task], params.tasks[task].words
    kind = kind_named(settings.kind)
    check_words(task, settings.kind, words)
    found = scoring.read(task, settings, params.active.finetune.valid)
    unseen_in = check_unseen(task, found.test, list(params.domains))
    results = scoring.Results(task, kind, replace(found, train=found.all_train))

    def scores(name: str, train: list[dict]) -> np.ndarray:
        return kind.BASELINES[name](train, found.valid, found.test, settings)

    def figures(name: str, train: list[dict]) -> dict:
        of = results.figures([scores(name, train)])
        return {of["metric"]: of["mean"]} | {other: value["mean"] for other, value in of["others"].items()}

    labels = scoring.labels_by_side(task, found) if results.classes else {}
    others = {other: scores(other, found.all_train) for other in kind.BASELINES if other not in ("majority", words)}
    for name in ("majority", words):
        extra = {"same_rows": figures(name, found.train)} if len(found.train) < len(found.all_train) else {}
        results.write(
            name,
            [scores(name, found.all_train)],
            extra | (labels if name == "majority" else {}) | {"unseen_in": unseen_in, "made_from": made_from(SPLIT)},
            others if name == words else None,
        )
