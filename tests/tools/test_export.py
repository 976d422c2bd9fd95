"""The report as it is handed on, made from the committed metrics in a real git repository."""

from pathlib import Path

import pytest

from dapt.launch import pipeline
from dapt.stages import report
from dapt.telling.errors import UserError
from dapt.tools import export
from repositories import run


@pytest.fixture()
def reported(committed) -> Path:
    report.run()
    return committed


def test_every_page_says_which_commit_it_is_of_and_no_tracked_file_does(reported, tmp_path, capsys):
    out = tmp_path / "paper"
    before = {path: path.read_bytes() for path in reported.rglob("*.*") if ".git" not in path.parts and path.is_file()}
    export.run(out)
    assert all(path.read_bytes() == content for path, content in before.items())
    commit = run(reported, "git", "rev-parse", "HEAD").strip()
    made = {path.relative_to(out).as_posix(): path for path in out.rglob("*.*")}
    pages = [name for name in made if name.endswith((".md", ".html"))]
    assert {"index.html", "report.md", "data.html", "data.md", "cards/base.md", "cards/biomed.md"} <= set(pages)
    for name in pages:
        text = made[name].read_text()
        assert (
            text.replace("</p>\n</body>\n</html>", "")
            .splitlines()[-1]
            .removeprefix("<p>")
            .startswith(f"commit {commit},")
        ), name
    assert not any(commit.encode() in content for content in before.values())
    assert made["tables.tex"].read_text().startswith(f"% commit {commit}")
    for table in (reported / "metrics").rglob("*.csv"):
        assert made[table.relative_to(reported / "metrics").as_posix()].read_bytes() == table.read_bytes()
    for picture in (reported / "reports").glob("*.svg"):
        assert made[picture.name].read_bytes() == picture.read_bytes() and f"{picture.stem}.pdf" in made
    assert f"commit {commit}" in capsys.readouterr().out.splitlines()[-1]


def test_a_report_that_is_out_of_date_says_so_where_it_names_the_commit(reported, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pipeline, "stale", {"report": ["compare", "report"]}.__getitem__)
    export.run(tmp_path / "paper")
    line = "Out of date: compare, report; dvc repro report brings them up to date."
    for name in ("report.md", "cards/base.md"):
        assert (tmp_path / "paper" / name).read_text().splitlines()[-1].endswith(f". {line}")
    assert (tmp_path / "paper/tables.tex").read_text().splitlines()[1] == f"% {line}"
    assert capsys.readouterr().out.splitlines()[-1].endswith(line)


def test_without_a_report_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="reports has no report; create it with dvc repro report"):
        export.run(tmp_path / "paper")
    assert not (tmp_path / "paper").exists()
