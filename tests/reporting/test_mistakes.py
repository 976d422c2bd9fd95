import numpy as np
import pytest

from dapt.reporting import mistakes


@pytest.fixture(scope="module")
def rows():
    """Three labels, two seeds; confidences that say nothing of what is right."""
    rng = np.random.default_rng(0)
    return [
        {
            "id": f"{number:03}",
            "right": rng.choice(list("abc")),
            "predicted": rng.choice(list("abc"), 2).tolist(),
            "confidence": rng.uniform(0.34, 1, 2).tolist(),
        }
        for number in range(300)
    ]


def test_confusion_sums_to_all_predictions_and_its_diagonal_to_the_right_ones(rows):
    from sklearn.metrics import confusion_matrix

    found = mistakes.confusion(rows)
    pairs = [(row["right"], name) for row in rows for name in row["predicted"]]
    assert [[of[label] for label in "abc"] for of in found.values()] == confusion_matrix(*zip(*pairs)).tolist()
    first, second, count = mistakes.confused(rows, 1)[0]
    assert count == max(pairs.count((one, other)) for one in "abc" for other in "abc" if one != other)
    assert pairs.count((first, second)) == count and first != second


def test_shares_are_the_rows_of_the_normalised_confusion_and_leave_out_what_does_not_occur(rows):
    from sklearn.metrics import confusion_matrix

    kept = [row for row in rows if row["right"] != "c" and "a" not in row["predicted"]]  # so a pair lacks on each axis
    pairs = [(row["right"], name) for row in kept for name in row["predicted"]]
    counts = confusion_matrix(*zip(*pairs), labels=list("abc"))
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(counts / counts.sum(1, keepdims=True))
    found = {(right, predicted): (count, share) for right, predicted, count, share in mistakes.shares(kept)}
    assert set(found) == {*pairs, ("a", "a"), ("b", "b"), ("c", "c")} and found["a", "a"] == found["c", "c"] == (0, 0)
    for (right, predicted), (count, share) in found.items():
        place = "abc".index(right), "abc".index(predicted)
        assert count == counts[place] and share == pytest.approx(expected[place], abs=5e-5)


def test_worst_are_wrong_and_surest_first(rows):
    found = mistakes.worst(rows, 20)
    sure = [
        sum(value for name, value in zip(row["predicted"], row["confidence"]) if name != row["right"]) for row in rows
    ]
    assert [row["id"] for row in found] == [
        rows[number]["id"] for number in np.argsort(-np.array(sure), kind="stable")[:20]
    ]
    assert not mistakes.worst([{"id": "x", "right": "a", "predicted": ["a"], "confidence": [0.9]}], 5)


def test_calibration_is_scikit_learns_curve(rows):
    from sklearn.calibration import calibration_curve

    flat = [(name == row["right"], sure) for row in rows for name, sure in zip(row["predicted"], row["confidence"])]
    right, sure = calibration_curve(*zip(*flat), n_bins=mistakes.BINS)
    found = mistakes.calibration(rows)
    assert [part["accuracy"] for part in found] == pytest.approx(right.tolist())
    assert [part["confidence"] for part in found] == pytest.approx(sure.tolist())
    assert sum(part["count"] for part in found) == len(flat) and all(part["count"] for part in found)


def test_calibration_error_is_guos_sum(rows):
    edges, total, error = np.linspace(0, 1, 16), 2 * len(rows), 0.0
    flat = [(sure, name == row["right"]) for row in rows for name, sure in zip(row["predicted"], row["confidence"])]
    for low, high in zip(edges, edges[1:]):
        inside = [pair for pair in flat if low <= pair[0] < high]
        error += abs(sum(right for _, right in inside) - sum(sure for sure, _ in inside)) / total
    assert mistakes.calibration_error(rows) == pytest.approx(error)


def test_an_answer_of_a_pool_is_shown_in_words_and_the_surest_wrong_seed_counts():
    pool = {"a": {"text": "how?", "answer": "so"}, "b": {"text": "why?", "answer": "because"}}
    row = {"id": "a", "right": "a", "predicted": ["a", "b", "c"], "confidence": [0.99, 0.8, 0.7]}
    assert mistakes.in_words(row, pool, 300) == {"text": "how?", "right_text": "so", "predicted_text": "because"}
    hidden = mistakes.in_words(row | {"confidence": [0.99, 0.7, 0.8]}, pool, 300)
    assert hidden["predicted_text"] == "c", "an answer whose licence does not allow it stays an id"


def test_a_calibrated_model_has_no_error():
    rows = [
        {"id": str(n), "right": "a", "predicted": ["a" if n % 4 else "b"], "confidence": [0.75]} for n in range(400)
    ]
    assert mistakes.calibration_error(rows) == pytest.approx(0)
    assert mistakes.calibration(rows) == [{"count": 400, "confidence": 0.75, "accuracy": 0.75}]
