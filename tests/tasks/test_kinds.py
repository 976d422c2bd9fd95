import json
import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from dapt.core import config
from dapt.core.config import Task
from dapt.stages import check, finetune
from dapt.tasks import kinds
from dapt.tasks.kinds import classification, kind, multiple_choice, ranking
from repositories import add_task
from toys import choices, repository_with, topics

TASK = Task(corpus="x", fields=["text"], kind="classification", length=32, epochs=1, lr=1e-3)


@pytest.mark.parametrize("name", kinds.names())
def test_the_main_figure_is_the_mean_of_its_values(name):
    rng = np.random.default_rng(0)
    scores, right = rng.normal(size=(200, 12)), rng.integers(0, 12, 200)
    measures = kind(name).measures(scores, right)
    assert list(measures) == list(kind(name).METRICS)
    assert measures[kind(name).METRICS[0]] == pytest.approx(kind(name).values(scores, right).mean())


def test_a_class_that_no_test_row_has_does_not_lower_macro_f1():
    """Of three classes two are tested: F1 by hand, whatever the third one drew."""
    right = np.array([0, 0, 0, 1, 1])
    scores = np.eye(3)[[0, 0, 2, 1, 0]]
    one, other = 2 * 2 / (2 * 2 + 1 + 1), 2 * 1 / (2 * 1 + 0 + 1)  # 2 TP / (2 TP + FP + FN)
    assert classification.measures(scores, right)["macro_f1"] == pytest.approx((one + other) / 2)


def test_ranking_figures_are_those_of_references():
    """nDCG against scikit-learn's, reciprocal rank and recall against a search through the sorted pool."""
    rng = np.random.default_rng(1)
    scores, right = rng.normal(size=(300, 40)), rng.integers(0, 40, 300)
    found = ranking.measures(scores, right)
    assert found["ndcg@10"] == pytest.approx(ndcg_score(np.eye(40)[right], scores, k=10))
    lists = [[place for _, place in sorted(zip(-row, range(40)))] for row in scores]
    assert found["mrr@10"] == pytest.approx(
        np.mean([1 / (order.index(place) + 1) if place in order[:10] else 0 for order, place in zip(lists, right)])
    )
    assert found["recall@1"] == pytest.approx(np.mean([order[0] == place for order, place in zip(lists, right)]))


def test_of_equal_scores_the_right_candidate_is_the_last():
    assert ranking.ranks(np.zeros((1, 7)), np.array([3])).tolist() == [7]


def test_the_pool_holds_each_answer_once():
    rows = [{"id": str(number), "question": "q", "answer": answer} for number, answer in enumerate("abab")]
    assert ranking.right(rows, []).tolist() == [0, 1, 0, 1] and ranking.candidates(rows, []) == ["0", "1"]
    outputs = np.random.default_rng(0).normal(size=(4, 2, 3))
    assert ranking.scores(outputs, ranking.right(rows, [])) == pytest.approx(
        ranking.SHARPNESS * np.einsum("iw,jw->ij", outputs[:, 0], outputs[:2, 1])
    )


def test_bm25_is_the_formula():
    """Robertson & Zaragoza 2009, less the factor k1 + 1 of all scores."""
    rows = [
        {"question": "Fever again?", "answer": "fever, fever and rest"},
        {"question": "bank", "answer": "the bank"},
        {"question": "x", "answer": "rest and more rest in the house"},
        {"question": "x", "answer": "a long day"},
    ]
    scores = ranking.bm25([], [], rows, TASK)
    lengths = [4, 2, 7, 3]
    idf = math.log((4 - 1 + 0.5) / (1 + 0.5))
    frequency, norm = 2, 0.25 + 0.75 * lengths[0] / (sum(lengths) / 4)
    assert scores[0] == pytest.approx([idf * frequency / (frequency + 1.5 * norm), 0, 0, 0], rel=1e-5)


def test_overlap_counts_shared_words_and_settles_ties():
    row = {"question": "Fever of the bank", "options": ["long fever", "fever", "bank fever", "house"], "answer": 2}
    assert multiple_choice.overlap([], [], [row], TASK).argmax(1).tolist() == [2]
    row["options"][2] = "rest"
    assert multiple_choice.overlap([], [], [row], TASK).argmax(1).tolist() == [1]  # the larger share of its words
    assert multiple_choice.overlap_least([], [], [row], TASK).argmax(1).tolist() == [2]


def test_a_choice_never_reads_the_explanation():
    for row in choices(20, 0):
        read = " ".join(text for pair in multiple_choice.sequences(row, TASK) for text in pair)
        assert row["explanation"] not in read and row["question"] in read


def test_a_label_that_no_training_row_has_is_possible_but_never_predicted():
    train, test = topics(80, 0), topics(20, 1)
    test[0]["label"] = "rare"
    scores = classification.tfidf(train, topics(20, 2), test, TASK)
    assert scores.shape == (20, 3) and np.isfinite(scores).all()
    assert not (scores.argmax(1) == classification.classes(train + test).index("rare")).any()


NEW_KIND = '''"""Of two texts, whether the first is the longer one."""

import numpy as np

from dapt.tasks.kinds.classification import *  # noqa: F403
from dapt.tasks.kinds.classification import majority


def sequences(row, task):
    return [(row["first"], row["second"])]


def longer(train, valid, test, task):
    return np.array([[0.0, len(row["first"].split()) - len(row["second"].split())] for row in test])


BASELINES = {"majority": majority, "longer": longer}
'''


def pairs(count: int, seed: int) -> list[dict]:
    rows = topics(2 * count, seed)
    found = [
        {
            "id": one["id"],
            "group": one["group"],
            "first": one["text"],
            "second": other["text"],
            "label": "yes" if len(one["text"].split()) > len(other["text"].split()) else "no",
        }
        for one, other in zip(rows[::2], rows[1::2])
    ]
    return [row for row in found if len(row["first"].split()) != len(row["second"].split())]


def test_a_task_of_a_new_kind_is_one_file_and_two_entries_of_settings(model_folder, tmp_path, monkeypatch):
    """The file goes into the folder of kinds, the entry says what is fine-tuned; no other file is touched."""
    from dapt.stages import baseline

    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "longer_text.py").write_text(NEW_KIND)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(folder)])
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(repository_with(tmp_path / "repository", model_folder, "longer", pairs, {}))
    task = "corpus: general, fields: [first, second, label], kind: longer_text, length: 32"
    add_task(tmp_path / "repository", "longer", "longer", task)
    check.check(config.load())
    finetune.run("longer", "base")
    baseline.run("longer")
    metrics = tmp_path / "repository/metrics/tasks/longer"
    assert json.loads((metrics / "longer.json").read_text())["mean"] == 1.0
    assert 0 < json.loads((metrics / "base.json").read_text())["mean"] <= 1
    assert set(path.stem for path in metrics.iterdir()) == {"base", "longer", "majority"}
