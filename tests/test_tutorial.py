"""docs/tutorial.md: every command and example of the page, in its order, in a clone of the finished toy. What it prints has the
form that the page shows; the figures are those of the toy."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from pages import BLOCK, Step, lines_missing, steps
from repositories import ROOT, environment, run
from server import Server

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
# What a reader types, but no test: the fixture `clone` does the same, from this machine alone.
DONE_BY_THE_FIXTURE = {"git clone ADDRESS dapt", "make repro", "export PATH=$PWD/.venv/bin:$PATH"}
SERVE = "make serve"  # started without the installation, at a free port; the later commands ask there
# Named in the text or in the list of what comes next, each tested for its own page.
MENTIONED = {
    "DAPT_LAUNCHER=slurm dapt launch",
    "dapt add base NAME --from PLACE",
    "dapt add corpus NAME --from PLACE --to pydocs",
    "dapt doctor",
    "dapt report --export DIR",
    "dapt spread pydocs",
    "dapt sweep train.lr=5e-4,1e-3,2e-3 --domain pydocs",
    "dvc exp run -S profile=full",
    "dvc repro finetune@kind-base finetune@kind-pydocs baseline@kind",
}


@dataclass
class Reader:
    """Who reads the page and does what it says."""

    folder: Path
    home: Path
    server: Server | None = None

    def does(self, step: Step) -> str:
        if step.file:
            (self.folder / step.file).write_text(step.text, encoding="utf-8")
            return ""
        if step.python:
            return self.shell("python -c " + shlex.quote(step.text), errors=False)
        if step.text in DONE_BY_THE_FIXTURE:
            return ""
        if step.text.startswith("cd "):
            self.folder = (self.folder / step.text.removeprefix("cd ")).resolve(strict=True)
            return ""
        if step.text == SERVE:
            self.server = Server(self.folder)
            self.server.__enter__()
            return f"serving {self.server.address}\n"
        address = self.server.address if self.server else ""
        return self.shell(step.text.replace("http://127.0.0.1:8000", address or "http://127.0.0.1:8000"))

    def shell(self, line: str, errors: bool = True) -> str:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=environment(self.home),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors else subprocess.PIPE,
        )
        assert done.returncode == 0, f"{line}\ngave {done.returncode}:\n{done.stdout[-6000:]}{done.stderr or ''}"
        return done.stdout

    def stop(self) -> None:
        if self.server:
            self.server.__exit__()
            self.server = None


@pytest.fixture()
def reader(finished, clone, tmp_path) -> Iterator[Reader]:
    """With a clone of the finished toy in a folder named as on the page, standing beside it, as the page begins. Its cache is
    a copy that knows of no earlier runs, so that every stage runs and prints what the page shows."""
    (tmp_path / "home").mkdir()
    clone.rename(tmp_path / "dapt")
    shutil.copytree(finished / ".dvc/cache", tmp_path / "cache", ignore=shutil.ignore_patterns("runs"))
    run(tmp_path / "dapt", "dvc", "cache", "dir", "--local", str(tmp_path / "cache"))
    # The toy's settings in the form of the repository's own, which `dvc exp run -S` keeps.
    apply_overrides(tmp_path / "dapt/params.yaml", ["domain=biomed"])
    run(tmp_path / "dapt", "git", "commit", "-qam", "form")
    one = Reader(tmp_path, tmp_path / "home")
    yield one
    one.stop()


def follow(reader: Reader, page: str) -> None:
    for step in steps(page):
        printed = reader.does(step)
        if step.text in DONE_BY_THE_FIXTURE:
            continue
        if step.python:
            assert len(printed.splitlines()) == len(step.shown), printed
        else:
            assert lines_missing(step.shown, printed) == [], f"{step.text} printed\n{printed[-6000:]}"
            assert step.shown or not printed.strip(), f"{step.text} printed\n{printed[-6000:]}"


def test_each_command_that_the_text_names_is_one_that_the_page_runs_or_a_known_one():
    """What is between backticks; `dapt add domain` stands for the command that begins so."""
    text = BLOCK.sub("", PAGE)
    named = {
        " ".join(words.split())
        for words in re.findall(r"`((?:\w+=\w+ )?(?:dapt|dvc|git|make|pip|python)\b[^`]*)`", text)
    }
    ran = [step.text for step in steps(PAGE) if not step.python]
    assert {
        words for words in named - MENTIONED if not any(f"{command} ".startswith(f"{words} ") for command in ran)
    } == set()
    assert named >= MENTIONED and {*DONE_BY_THE_FIXTURE, SERVE} <= set(ran)


@pytest.mark.parametrize(
    "block",
    [
        "    dapt report\n",
        "```bash\ndapt report\n```\n",
        "    $ dapt report\n\n```text\ndone\n```\n",
        "~~~\ndapt report\n~~~\n",
    ],
)
def test_a_block_that_is_no_command_is_an_error(block):
    with pytest.raises(AssertionError):
        steps(f"Text.\n\n{block}")


def test_a_line_is_compared_by_its_form():
    assert lines_missing(["biomed: 1,200 of 3 rows …", "…", "end"], "finance: 7 of 80 rows stay\nmore\nend\n") == []
    assert lines_missing(["biomed: 1,200 rows", "end"], "biomed: no rows\nend\n") == ["biomed: 1,200 rows"]


def test_the_page_up_to_its_model(reader):
    """The way from a folder of text to a trained model."""
    follow(reader, PAGE[: PAGE.index("\n## 5. ")])
    assert (reader.folder / "models/pydocs/model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_page_from_its_first_command_to_its_last(reader):
    follow(reader, PAGE)
    report = (reader.folder / "reports/report.md").read_text(encoding="utf-8")
    headings = re.findall(r'"([^"]+)"', "".join(re.findall(r'^- (".*):', PAGE, re.MULTILINE)))
    assert len(headings) > 3 and [name for name in headings if f"# {name}\n" not in report] == []
    assert not run(reader.folder, "git", "status", "--porcelain")
