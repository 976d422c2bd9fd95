"""How well a sentence encoder ranks answers without training on questions and answers: the ranking tasks of the repository,
with the cosine between question and answer as the score, on the test rows that fine-tuned models are measured on."""

from typing import TYPE_CHECKING, Any

import numpy as np

from dapt.core import config
from dapt.core.files import read_lines
from dapt.core.paths import SPLIT
from dapt.core.rows import text_id
from dapt.judging.statistics import RESAMPLES, by_group, interval, paired, resampled
from dapt.tasks.kinds import ranking

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SEED = 0  # of the resampling, as for fine-tuned models

Tasks = dict[str, list[dict]]  # name of a task → its test rows


def ranking_tasks() -> Tasks:
    """The ranking tasks of the repository whose test rows are here."""
    kinds = {name: task.kind for name, task in config.load().active_tasks.items()}
    files = {name: SPLIT / "tasks" / name / "test.jsonl" for name, kind in kinds.items() if kind == "ranking"}
    return {name: list(read_lines(path)) for name, path in files.items() if path.is_file()}


def unseen(texts: list[str], tasks: Tasks) -> list[str]:
    """The different texts, in order, without empty ones and without questions and answers of the test rows."""
    tested = {text_id(row[field]) for rows in tasks.values() for row in rows for field in ("question", "answer")}
    by_id = {text_id(text): text for text in reversed(texts) if text.strip()}
    return [text for number, text in reversed(by_id.items()) if number not in tested]


def scores(encoder: "SentenceTransformer", rows: list[dict]) -> np.ndarray:
    """Scores [rows, candidates]; the candidates are all answers."""
    both = [row[field] for row in rows for field in ("question", "answer")]
    vectors = np.asarray(encoder.encode(both, normalize_embeddings=True, show_progress_bar=False))
    return ranking.scores(vectors.reshape(len(rows), 2, -1), ranking.right(rows, []))


def figures(before: np.ndarray, after: np.ndarray, rows: list[dict]) -> dict[str, dict[str, Any]]:
    """The metrics before and after, from scores [rows, candidates], and the paired difference of the main one; intervals and
    p-value resample groups of rows."""
    right = ranking.right(rows, [])
    values = np.array([ranking.values(before, right), ranking.values(after, right)])
    sums, sizes = by_group(values, [row["group"] for row in rows])
    drawn = resampled(sums, sizes, RESAMPLES, SEED)
    found = {
        name: {key: round(float(value), 4) for key, value in ranking.measures(some, right).items()}
        | {"ci95": interval(resamples)}
        for name, some, resamples in zip(("before", "after"), (before, after), drawn)
    }
    main, change = ranking.METRICS[0], values[1].mean() - values[0].mean()
    difference = paired(drawn[1], drawn[0])
    p = None if difference["p"] is None else round(difference["p"], 4)
    return found | {"difference": {main: round(float(change), 4)} | difference | {"p": p}}
