"""What a user has in the workspace breaks no test: figures that `dvc repro` has made anew, settings of one's own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from repositories import committed_files, environment, run

READ_THE_FIGURES = (
    "tests/test_docs.py",
    "tests/reporting",
    "tests/tools/test_comparison.py",
    "tests/stages/test_baseline.py::test_plain_tfidf_on_reuters_r8_is_as_published",
)
READ_THE_SETTINGS = ("tests/core/test_config.py", "tests/stages/test_check.py")


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clone of what git's index has, whose figures are then those of another processor."""
    folder = tmp_path_factory.mktemp("processor")
    origin = committed_files(folder / "origin", ".")
    run(origin, "git", "init", "-q", "-b", "main")
    run(origin, "git", "add", "-A", "-f")
    run(origin, "git", "commit", "-qm", "start")
    run(folder, "git", "clone", "-q", str(origin), str(folder / "clone"))
    changed = 0
    for path in (folder / "clone/metrics").rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        other = re.sub(r"(?<![\w.])\d+\.\d{4}(?![\w.])", lambda found: f"{float(found[0]) + 1e-4:.4f}", text)
        path.write_text(other, encoding="utf-8")
        changed += text != other
        assert path.suffix != ".json" or json.loads(other) is not None
    assert changed > 10
    return folder / "clone"


def passes(clone: Path, *tests: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests],
        cwd=clone,
        env=environment(clone.parent) | {"PYTHONPATH": str(clone / "src")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_figures_of_another_processor(clone):
    assert run(clone, "git", "status", "--porcelain", "metrics")
    passes(clone, *READ_THE_FIGURES, "--ignore=tests/reporting/browser")


def test_settings_of_ones_own(clone):
    params = clone / "params.yaml"
    params.write_text(
        params.read_text(encoding="utf-8").replace("profile: sample", "profile: full", 1), encoding="utf-8"
    )
    passes(clone, *READ_THE_SETTINGS)
