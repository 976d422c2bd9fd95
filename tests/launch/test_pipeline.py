"""The stages of dvc.yaml as the launcher sees them."""

import pytest

from dapt.launch import pipeline
from dapt.launch.conductor import startable
from dapt.launch.pipeline import Stage
from dapt.telling.errors import UserError
from repositories import change, replaced, run

STAGES = ["check", "train@biomed", "train@law", "evaluate@base", "evaluate@biomed", "finetune@topic-biomed"]


@pytest.mark.parametrize(
    "targets, found",
    [
        ([], STAGES),
        (["biomed"], ["train@biomed"]),
        (["train"], ["train@biomed", "train@law"]),
        (["evaluate@base", "law"], ["evaluate@base", "train@law"]),
        (["*-biomed"], ["finetune@topic-biomed"]),
        (["*@biomed"], ["evaluate@biomed", "train@biomed"]),
    ],
)
def test_a_target_is_a_stage_all_of_a_name_a_pattern_or_a_domain(targets, found):
    assert pipeline.chosen(targets, STAGES, ["biomed", "law"]) == set(found)


@pytest.mark.parametrize(
    "target, words",
    [("biomd", "did you mean biomed?"), ("evaluate@", "did you mean evaluate"), ("x", "dvc stage list")],
)
def test_a_target_that_is_not_there_is_refused(target, words):
    with pytest.raises(UserError, match=f"dvc.yaml has no stage {target!r}.*{words}"):
        pipeline.chosen(["biomed", target], STAGES, ["biomed", "law"])


def test_a_stage_can_be_started_when_all_that_it_needs_is_there():
    stages = {
        name: Stage(name, (), frozenset(needs)) for name, needs in (("a", ""), ("b", ""), ("c", "ab"), ("d", "b"))
    }
    assert [stage.name for stage in startable(stages, set(), [])] == ["a", "b"]
    assert [stage.name for stage in startable(stages, {"b"}, ["a", "b"])] == ["d"]
    assert [stage.name for stage in startable(stages, {"a", "b"}, ["a", "b", "d"])] == ["c"]


PIPELINE = """\
stages:
  check: {cmd: echo right > checked, deps: [params.yaml], outs: [checked]}
  train:
    foreach: [biomed, finance]
    do: {cmd: "cp code model-${item}", deps: [checked, code], params: ["${item}"], outs: ["model-${item}"]}
  compare: {cmd: cat model-biomed model-finance > figures, deps: [model-biomed, model-finance],
            metrics: [figures: {cache: false}]}
  other: {cmd: echo > other, params: [domain], outs: [other]}
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")
def test_figures_are_stale_where_settings_code_or_inputs_have_changed(tmp_path, monkeypatch):
    folder, settings = tmp_path / "repository", "biomed: 1\nfinance: 1\ndomain: biomed\n"
    folder.mkdir()
    for name, text in {"dvc.yaml": PIPELINE, "params.yaml": settings, "code": "1"}.items():
        (folder / name).write_text(text)
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    monkeypatch.chdir(folder)
    every = ["check", "train@biomed", "train@finance", "compare"]
    assert pipeline.stale("compare") == every[1:]  # nothing has run
    run(folder, "dvc", "repro", "-q")
    assert pipeline.stale("compare") == []
    for name in ("checked", "model-biomed", "model-finance", "other"):
        (folder / name).unlink()
    assert pipeline.stale("compare") == [] and list(pipeline.outdated(["compare"], [])) == every
    (folder / "params.yaml").write_text(replaced(settings, "domain: biomed", "domain: finance"))
    assert pipeline.stale("compare") == [] and pipeline.stale("other") == ["other"]
    (folder / "params.yaml").write_text(replaced(settings, "finance: 1", "finance: 2"))
    assert pipeline.stale("compare") == ["train@finance", "compare"] and pipeline.stale("train@biomed") == []
    (folder / "params.yaml").write_text(settings)
    (folder / "dvc.yaml").write_text(replaced(PIPELINE, "> figures", "| tee figures"))
    assert pipeline.stale("compare") == ["compare"]
    (folder / "code").write_text("2")
    assert pipeline.stale("compare") == every[1:]
    with pytest.raises(UserError, match="no stage 'comparison'"):
        pipeline.stale("comparison")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")
def test_what_is_out_of_date_is_what_dvc_says_and_all_behind_it(finished, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    run(finished.parent, "git", "clone", "-q", str(finished), str(clone))
    run(clone, "dvc", "cache", "dir", "--local", str(finished / ".dvc/cache"))
    run(clone, "dvc", "checkout")
    monkeypatch.chdir(clone)
    domains = ["biomed", "finance", "general"]
    assert pipeline.outdated([], domains) == {}
    change(clone, {"evaluate.draws": 2})
    found = pipeline.outdated([], domains)
    assert {"check", "evaluate@base", "evaluate@biomed", "compare", "report", "summary"} <= set(found)
    assert found["check"].command == ("dapt", "check") and found["check"].needs == frozenset()
    assert found["compare"].needs >= {f"evaluate@{name}" for name in ("base", *domains)}
    order = list(found)
    assert all(order.index(need) < order.index(name) for name, stage in found.items() for need in stage.needs)
    assert "report" not in pipeline.outdated(["evaluate"], domains)
    assert {"train@biomed", "evaluate@biomed"} <= set(
        pipeline.outdated(["evaluate@biomed"], domains, lambda name: name == "train@biomed")
    )
    (clone / "dvc.yaml").write_text(replaced((clone / "dvc.yaml").read_text(), "stages:", "stage:"))
    with pytest.raises(UserError, match="DVC cannot read the pipeline"):
        pipeline.outdated([], domains)
