"""The pictures as files, and the page that `dvc plots show` fills."""

from dapt.tools import plots as tools_plots
from repositories import ROOT


def test_pictures_go_out_as_svg_pdf_and_png(committed_run, tmp_path, monkeypatch):
    monkeypatch.chdir(committed_run)
    tools_plots.run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.{kind}"
        for name in (
            "calibration",
            "confusion_biomed_topic",
            "confusion_finance_classification",
            "curves",
            "differences",
            "matrix",
            "tasks",
        )
        for kind in ("pdf", "png", "svg")
    ]
    for kind, begin in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert all(path.read_bytes().startswith(begin) for path in tmp_path.glob(f"*.{kind}"))


def test_the_offline_page_is_the_one_that_the_library_gives(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tools_plots.write_page()
    assert (tmp_path / tools_plots.PAGE).read_bytes() == (ROOT / tools_plots.PAGE).read_bytes()
