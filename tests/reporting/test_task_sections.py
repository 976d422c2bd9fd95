"""The report's sections on tasks."""

from markdown_it import MarkdownIt

from dapt.reporting import task_sections


def against(diff: float, p: float) -> dict:
    return {"name": "tfidf", "diff": diff, "ci95": [diff - 0.1, diff + 0.1], "p_adjusted": p}


def test_a_model_that_loses_to_counting_words_is_named():
    tasks = {
        "one": {
            "base": {"vs_free": against(-0.1, 0.04)},
            "biomed": {"vs_free": against(-0.1, 0.06)},
            "finance": {"vs_free": against(0.1, 0.04)},
            "tfidf": {},
        }
    }
    lost, below = (
        "**Significantly worse than the best baseline: on one (base).**",
        "not significantly: on one (biomed). The",
    )
    assert task_sections.free(tasks).startswith(f"{lost} Below it, but {below}")
    del tasks["one"]["base"]
    assert task_sections.free(tasks).startswith(f"No model is significantly worse. Below it, but {below}")
    del tasks["one"]["biomed"]
    assert task_sections.free(tasks).startswith("No model is significantly worse. The best baseline")


def test_the_verdict_names_what_differs_significantly_from_the_base():
    tasks = {
        "one": {"base": {}, "biomed": {"vs_base": against(0.1, 0.01)}, "finance": {"vs_base": against(0.1, 0.3)}},
        "two": {"base": {}, "biomed": {"vs_base": against(-0.1, 0.2)}, "finance": {"vs_base": against(-0.1, 0.02)}},
    }
    for models in tasks.values():
        models["base"]["vs_free"] = against(0.1, 0.01)
    better = "Fine-tuned on the tasks, significantly better than the base: on one (biomed)."
    assert task_sections.verdict(tasks) == f"{better} Significantly worse: on two (finance)."
    del tasks["two"]
    assert task_sections.verdict(tasks) == better
    del tasks["one"]["biomed"]
    assert task_sections.verdict(tasks).endswith(", no adapted model is significantly better than the base.")


def test_the_verdict_names_the_tasks_on_which_counting_words_is_better_than_every_model():
    won, lost, drawn = against(0.1, 0.01), against(-0.1, 0.01), against(-0.1, 0.3)
    tasks = {
        "a": {"base": {"vs_free": won}, "biomed": {"vs_free": lost}},
        "b": {"base": {"vs_free": lost}, "biomed": {"vs_free": lost}},
        "c": {"base": {"vs_free": lost}, "biomed": {"vs_free": drawn}},
    }
    said = "a baseline that needs no neural network scores higher than every model"
    assert task_sections.verdict(tasks).endswith(f" On b, c {said} (significantly on b).")
    del tasks["b"]
    assert task_sections.verdict(tasks).endswith(f" On c {said} (not significantly).")
    del tasks["c"]
    assert said not in task_sections.verdict(tasks)


def test_a_baseline_on_the_rows_of_a_limit_is_named_where_there_is_one():
    figures = {"one": {"base": {}, "tfidf": {"same_rows": {"accuracy": 0.5, "macro_f1": 0.25}}}}
    assert "reach: tfidf on one accuracy 0.500, macro_f1 0.250." in task_sections.on_same_rows(figures)
    del figures["one"]["tfidf"]["same_rows"]
    assert not task_sections.on_same_rows(figures)


def test_a_mistake_is_shown_in_words_as_they_are_or_by_its_row():
    row = {"id": "8f", "right": "option 1", "predicted": ["option 2", "option 1"], "confidence": [0.8, 0.9]}
    assert task_sections.mistake(row) == ["`8f`", "option 1", "option 2", "0.80"]
    words = row | {"text": "is it\na | b?", "right_text": "<b>a</b>", "predicted_text": "*b*"}
    assert task_sections.mistake(words) == ["is it a | b?", r"\<b\>a\</b\>", r"\*b\*", "0.80"]


def test_a_label_with_marks_of_its_own_stays_one_cell():
    found = {
        "one": {"base": {"calibration_error": 0.1, "confused": [{"right": "a|b", "predicted": "<c>", "times": 2}]}}
    }
    html = MarkdownIt("commonmark").enable("table").render(task_sections.confused(found))
    assert "<td>a|b → &lt;c&gt; (2)</td>" in html and html.count("<td>") == 4
