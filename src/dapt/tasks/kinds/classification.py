"""Text classification, one label per text: accuracy and macro F1.

Baselines: `tfidf` is one-vs-rest logistic regression on tf-idf of words, with hyperparameters chosen on valid; `tfidf_plain`
uses scikit-learn's defaults on all labelled rows outside the test set, as published for Reuters R8 (.937, Yao et al. 2019).
"""

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from torch import nn

from dapt.core.config import Task

AUTO = "AutoModelForSequenceClassification"
METRICS = ("accuracy", "macro_f1")
CARD = {"library_name": "transformers", "pipeline_tag": "text-classification"}
STRENGTHS = (10.0, 100.0)  # values of C that are tried, each with and without word pairs


def sequences(row: dict, task: Task) -> list[str]:
    return [row[task.input]]


def classes(rows: list[dict]) -> list[str]:
    return sorted({row["label"] for row in rows})


def right(rows: list[dict], classes: list[str]) -> np.ndarray:
    return np.array([classes.index(row["label"]) for row in rows])


def candidates(rows: list[dict], classes: list[str]) -> list[str]:
    return classes


def outputs(network: nn.Module, batch: dict[str, torch.Tensor], count: int) -> torch.Tensor:
    return network(**batch).logits


def loss(outputs: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(outputs.float(), right)


def scores(outputs: np.ndarray, right: np.ndarray) -> np.ndarray:
    return outputs


def values(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (scores.argmax(1) == right).astype(float)


def measures(scores: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """F1 is averaged over the classes of the test rows; a class that is only ever predicted is not counted."""
    predicted = scores.argmax(1)
    return {
        "accuracy": accuracy_score(right, predicted),
        "macro_f1": f1_score(right, predicted, labels=np.unique(right), average="macro"),
    }


def files(task: Task, width: int) -> dict[str, object]:
    return {}


def use(folder: str, task: Task) -> str:
    return f"""from transformers import pipeline

classify = pipeline("text-classification", model="{folder}")
for found in classify("The text to classify.", top_k=3, truncation=True, max_length={task.length}):
    print(found["label"], round(found["score"], 3))
"""


def tuned(words: int, strength: float) -> Pipeline:
    """On words, or also word pairs, that occur in at least two texts; liblinear is several times as fast as lbfgs here."""
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, words), sublinear_tf=True, min_df=2),
        OneVsRestClassifier(LogisticRegression(C=strength, solver="liblinear", random_state=0)),
    )


def log_odds(model: Pipeline, texts: list[str], known: list[str]) -> np.ndarray:
    """Log-probabilities [texts, known]; a label without training rows gets a probability of 1e-12."""
    found = np.full((len(texts), len(known)), 1e-12)
    found[:, [known.index(label) for label in model.classes_]] = model.predict_proba(texts)
    return np.log(found.clip(1e-12))


def tfidf(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    texts, labels = ([[row[name] for row in rows] for rows in (train, valid)] for name in (task.input, "label"))
    fitted = [tuned(words, strength).fit(texts[0], labels[0]) for words, strength in product((1, 2), STRENGTHS)]
    best = max(fitted, key=lambda model: model.score(texts[1], labels[1]))
    return log_odds(best, [row[task.input] for row in test], classes(train + valid + test))


def tfidf_plain(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    rows = train + valid
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    model.fit([row[task.input] for row in rows], [row["label"] for row in rows])
    return log_odds(model, [row[task.input] for row in test], classes(rows + test))


def by_frequency(right: np.ndarray, candidates: int, rows: int) -> np.ndarray:
    """The same scores for every row: log-frequencies of the right candidates in training, with add-one smoothing."""
    counts = np.bincount(right, minlength=candidates)
    return np.tile(np.log((counts + 1) / (counts + 1).sum()), (rows, 1))


def majority(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    known = classes(train + valid + test)
    return by_frequency(right(train, known), len(known), len(test))


BASELINES = {"majority": majority, "tfidf": tfidf, "tfidf_plain": tfidf_plain}
