"""Whether figures are out of date, where that cannot be told."""

import pytest

from dapt.launch import pipeline
from dapt.tools.staleness import out_of_date
from repositories import run


def test_where_dvc_cannot_tell_there_is_no_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert out_of_date("compare") == []
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "dvc", "init", "-q")
    for pipeline_of in ("stages: {other: {cmd: 'true'}}", "stages: ["):
        (tmp_path / "dvc.yaml").write_text(pipeline_of)
        assert out_of_date("compare") == []


def test_a_mistake_of_the_program_is_not_taken_for_that(monkeypatch):
    def mistaken(stage: str) -> list[str]:
        raise TypeError("a mistake")

    monkeypatch.setattr(pipeline, "stale", mistaken)
    with pytest.raises(TypeError, match="a mistake"):
        out_of_date("compare")
