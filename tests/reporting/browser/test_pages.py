"""The pages in a real browser that can reach nothing but the file."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dapt.reporting.markdown import page
from repositories import run

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


def test_dvc_plots_show_draws_all_pictures_offline(committed_run, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(committed_run, folder)
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "plots", "show", "-o", str(tmp_path / "plots"))
    page = tmp_path / "plots/index.html"
    assert not re.search(r"<(script|link)[^>]+(src|href)=", page.read_text())
    drawn = dom(page, tmp_path / "profile")
    assert len(re.findall(r'<div id="[^"]*" class="vega-embed', drawn)) == PICTURES, drawn[-3000:]
    assert len(re.findall(r"<canvas[^>]*marks|<svg[^>]*marks", drawn)) == PICTURES


def test_the_report_opens_with_its_pictures(twin, pictures, tmp_path):
    (tmp_path / "index.html").write_text(page(twin, pictures))
    drawn = dom(tmp_path / "index.html", tmp_path / "profile")
    assert drawn.count("<svg") == PICTURES and drawn.count("<table>") >= 8 and "<h1>" in drawn
