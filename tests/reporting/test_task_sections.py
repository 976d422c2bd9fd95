"""The report's sections on tasks."""

from dapt.reporting import task_sections


def test_a_model_that_loses_to_counting_words_is_named():
    tasks = {
        "one": {
            "base": {"vs_free": {"name": "tfidf", "diff": -0.1, "ci95": [-0.2, -0.01], "p_adjusted": 0.04}},
            "biomed": {"vs_free": {"name": "tfidf", "diff": -0.1, "ci95": [-0.2, 0.01], "p_adjusted": 0.06}},
            "finance": {"vs_free": {"name": "tfidf", "diff": 0.1, "ci95": [0.01, 0.2], "p_adjusted": 0.04}},
            "tfidf": {},
        }
    }
    assert (
        "**These lose to a free baseline, beyond noise: on one (to tfidf) base.** Behind one, within noise: on one (to tfidf) biomed.\n"
        in task_sections.free(tasks)
    )
    del tasks["one"]["base"]
    assert task_sections.free(tasks).startswith(
        "No model loses to a free baseline beyond noise. Behind one, within noise: on one"
    )
    del tasks["one"]["biomed"]
    assert task_sections.free(tasks).startswith("No model loses to a free baseline beyond noise.\n\n| task |")


def test_a_baseline_on_the_rows_of_a_limit_is_named_where_there_is_one():
    figures = {"one": {"base": {}, "tfidf": {"same_rows": {"accuracy": 0.5, "macro_f1": 0.25}}}}
    assert "fewer than all: tfidf on one accuracy 0.500, macro_f1 0.250." in task_sections.on_same_rows(figures)
    del figures["one"]["tfidf"]["same_rows"]
    assert not task_sections.on_same_rows(figures)
