"""Finding the right answer to a question among all answers of the same side (the pool): MRR@10, nDCG@10, recall@1.

The model is a bi-encoder: question and answer are encoded separately and compared by the cosine of their mean token vectors.
In training, each question is to prefer its own answer to those of the other questions in its batch (Henderson et al. 2017;
Reimers & Gurevych 2019). A cross-encoder would read each question with each answer, pool² texts instead of 2 × pool: 161 times
as many for a pool of 322.

Baselines: `majority` ranks the pool in the same order for every question, which is chance level; `bm25` is Okapi BM25 (k1 1.5,
b 0.75) on lower-case words, with frequencies from the pool. Among candidates with equal scores, the right one is ranked last.
"""

import re

import bm25s
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from dapt.core.config import Task

AUTO = "AutoModel"
METRICS = ("mrr@10", "ndcg@10", "recall@1")
CARD = {"library_name": "sentence-transformers", "pipeline_tag": "sentence-similarity"}
SHARPNESS = 20.0  # factor of the cosines before the softmax
WORD = re.compile(r"\w+")


def sequences(row: dict, task: Task) -> list[str]:
    return [row["question"], row["answer"]]


def classes(rows: list[dict]) -> list[str]:
    return []


def pool(rows: list[dict]) -> dict[str, int]:
    """Each distinct answer and its number, in the order of the rows."""
    return {answer: number for number, answer in enumerate(dict.fromkeys(row["answer"] for row in rows))}


def right(rows: list[dict], classes: list[str]) -> np.ndarray:
    numbers = pool(rows)
    return np.array([numbers[row["answer"]] for row in rows])


def candidates(rows: list[dict], classes: list[str]) -> list[str]:
    """The id of the first row with each answer."""
    ids: dict[str, str] = {}
    for row in rows:
        ids.setdefault(row["answer"], row["id"])
    return list(ids.values())


def means(network: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Unit vectors [texts, width]: means over tokens. Columns that are padding in every text are cut off."""
    size = int(batch["attention_mask"].sum(1).max())
    batch = {name: value[:, :size] for name, value in batch.items()}
    hidden, mask = network(**batch).last_hidden_state.float(), batch["attention_mask"][:, :, None]
    return F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def outputs(network: nn.Module, batch: dict[str, torch.Tensor], count: int) -> torch.Tensor:
    """Unit vectors [rows, 2, width] of question and answer. Questions and answers are run separately, since answers are
    longer."""
    return torch.stack(
        [means(network, {name: value[place::count] for name, value in batch.items()}) for place in range(count)], dim=1
    )


def loss(outputs: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    cosines = outputs[:, 0] @ outputs[:, 1].T
    return F.cross_entropy(SHARPNESS * cosines, torch.arange(len(cosines), device=cosines.device))


def scores(outputs: np.ndarray, right: np.ndarray) -> np.ndarray:
    firsts = np.unique(right, return_index=True)[1]
    return SHARPNESS * outputs[:, 0] @ outputs[firsts, 1].T


def ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The rank of the right candidate, starting at 1; int64 [rows].

    >>> ranks(np.array([[0.1, 0.9, 0.5], [0.3, 0.3, 0.0]]), np.array([2, 0])).tolist()
    [2, 2]
    """
    return (scores >= np.take_along_axis(scores, right[:, None], 1)).sum(1)


def values(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Reciprocal ranks, 0 beyond rank 10."""
    places = ranks(scores, right)
    return np.where(places <= 10, 1 / places, 0.0)


def measures(scores: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """For nDCG there is one relevant answer, so the ideal gain is 1 (Järvelin & Kekäläinen 2002)."""
    places = ranks(scores, right)
    return {
        "mrr@10": values(scores, right).mean(),
        "ndcg@10": np.where(places <= 10, 1 / np.log2(1 + places), 0.0).mean(),
        "recall@1": (places == 1).mean(),
    }


def files(task: Task, width: int) -> dict[str, object]:
    """The pooling of `means` as configuration of sentence-transformers, so that it computes the vectors that the model was
    trained for. The module types are those of its first versions, which later versions accept too."""
    modules = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    return {
        "modules.json": [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{module}"}
            for number, (path, module) in enumerate(modules.items())
        ],
        "sentence_bert_config.json": {"max_seq_length": task.length, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": width,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
        },
    }


def use(folder: str, task: Task) -> str:
    return f"""from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{folder}")
question, answers = "The question?", ["one answer", "another answer"]
cosines = model.encode(answers) @ model.encode(question)
print(answers[cosines.argmax()])
"""


def majority(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    return np.tile(-np.arange(len(pool(test)), dtype=float), (len(test), 1))


def bm25(train: list[dict], valid: list[dict], test: list[dict], task: Task) -> np.ndarray:
    index = bm25s.BM25(method="robertson", k1=1.5, b=0.75)
    index.index([WORD.findall(answer.lower()) for answer in pool(test)], show_progress=False)
    return np.array([index.get_scores(WORD.findall(row["question"].lower())) for row in test], float)


BASELINES = {"majority": majority, "bm25": bm25}
