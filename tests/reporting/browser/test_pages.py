"""The pages in a real browser that can reach nothing but the file."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from repositories import ROOT, environment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = 6  # matrix, curves, tasks, calibration, and the confusion of two tasks
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")


def dom(page: Path, profile: Path) -> str:
    """The document as it stands after its scripts ran, with no name resolved and so no host reached."""
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


def test_dvc_plots_show_draws_all_pictures_offline(tmp_path):
    done = subprocess.run(
        ["dvc", "plots", "show", "-o", str(tmp_path / "plots")],
        cwd=ROOT,
        text=True,
        env=environment(tmp_path),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    page = tmp_path / "plots/index.html"
    assert not re.search(r"<(script|link)[^>]+(src|href)=", page.read_text())
    drawn = dom(page, tmp_path / "profile")
    assert len(re.findall(r'<div id="[^"]*" class="vega-embed', drawn)) == PICTURES, drawn[-3000:]
    assert len(re.findall(r"<canvas[^>]*marks|<svg[^>]*marks", drawn)) == PICTURES


def test_the_report_opens_with_its_pictures(tmp_path, monkeypatch):
    from dapt.core import config
    from dapt.core.paths import METRICS
    from dapt.reporting import plots
    from dapt.reporting.markdown import page
    from dapt.reporting.report_page import markdown

    monkeypatch.chdir(ROOT)
    pictures = {name: plots.svg(spec) for name, spec in plots.figures().items()}
    (tmp_path / "index.html").write_text(page(markdown(config.load(), METRICS), pictures))
    drawn = dom(tmp_path / "index.html", tmp_path / "profile")
    assert drawn.count("<svg") == PICTURES and drawn.count("<table>") >= 8 and "<h1>" in drawn
