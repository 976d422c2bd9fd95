"""`dapt report`: the page, its twin, the pictures and the cards, of the figures in metrics/."""

import json
import shutil

from dapt.core import config
from dapt.core.files import sha256
from dapt.stages import report


def test_it_writes_every_page_from_the_figures_alone_and_the_same_bytes_again(workspace, finished):
    for name in ("data", "models"):
        shutil.rmtree(workspace / name)
    report.run()
    pages = {path.relative_to(workspace / "reports").as_posix() for path in (workspace / "reports").rglob("*.*")}
    pictures = {
        f"{name}.svg"
        for name in ("matrix", "differences", "tasks", "curves", "calibration", "confusion_finance_classification")
    }
    models = {f"cards/{name}.md" for name in config.load().models}
    assert pages == {"index.html", "report.md", "data.html", "data.md"} | pictures | models
    assert sha256(workspace / "reports") == sha256(finished / "reports")
    text = (workspace / "reports/report.md").read_text()
    for cells in json.loads((workspace / "metrics/comparison.json").read_text())["matrix"].values():
        assert all(f"{cell['loss']:.3f}" in text for cell in cells.values())
