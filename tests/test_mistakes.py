import numpy as np
import pytest

from dapt import mistakes


@pytest.fixture(scope="module")
def rows():
    """Three labels, two seeds; confidences that say nothing of what is right."""
    rng = np.random.default_rng(0)
    return [{"id": f"{number:03}", "right": rng.choice(list("abc")), "predicted": rng.choice(list("abc"), 2).tolist(),
             "confidence": rng.uniform(0.34, 1, 2).tolist()} for number in range(300)]


def test_confusion_sums_to_all_predictions_and_its_diagonal_to_the_right_ones(rows):
    from sklearn.metrics import confusion_matrix

    found = mistakes.confusion(rows)
    pairs = [(row["right"], name) for row in rows for name in row["predicted"]]
    assert [[of[label] for label in "abc"] for of in found.values()] == confusion_matrix(*zip(*pairs)).tolist()
    first, second, count = mistakes.confused(rows, 1)[0]
    assert count == max(pairs.count((one, other)) for one in "abc" for other in "abc" if one != other)
    assert pairs.count((first, second)) == count and first != second


def test_worst_are_wrong_and_surest_first(rows):
    found = mistakes.worst(rows, 20)
    sure = [sum(value for name, value in zip(row["predicted"], row["confidence"]) if name != row["right"]) for row in rows]
    assert [row["id"] for row in found] == [rows[number]["id"] for number in np.argsort(-np.array(sure), kind="stable")[:20]]
    assert not mistakes.worst([{"id": "x", "right": "a", "predicted": ["a"], "confidence": [0.9]}], 5)


def test_calibration_error_is_guos_sum(rows):
    edges, total, error = np.linspace(0, 1, 16), 2 * len(rows), 0.0
    flat = [(sure, name == row["right"]) for row in rows for name, sure in zip(row["predicted"], row["confidence"])]
    for low, high in zip(edges, edges[1:]):
        inside = [pair for pair in flat if low <= pair[0] < high]
        error += abs(sum(right for _, right in inside) - sum(sure for sure, _ in inside)) / total
    assert mistakes.calibration_error(rows) == pytest.approx(error)


def test_a_calibrated_model_has_no_error():
    rows = [{"id": str(n), "right": "a", "predicted": ["a" if n % 4 else "b"], "confidence": [0.75]} for n in range(400)]
    assert mistakes.calibration_error(rows) == pytest.approx(0)
    assert mistakes.calibration(rows) == [{"count": 400, "confidence": 0.75, "accuracy": 0.75}]
