"""What decides the bits of a training: its code by its imports, held against import-linter's own graph, and versions."""

import ast
import importlib.metadata
import re
import shutil
import signal
import time
from pathlib import Path

import grimp
import pytest

from dapt.telling import events
from dapt.training import code
from repositories import ROOT, ground_in
from trainings import by_command

MODULE = "dapt.stages.train"
GRAPH = grimp.build_graph("dapt")
DECIDING = sorted(
    name for name in {MODULE, *GRAPH.find_upstream_modules(MODULE)} if not name.startswith("dapt.telling")
)
ROOMS = sorted({name.split(".")[1] for name in DECIDING})


@pytest.fixture()
def package(tmp_path, monkeypatch) -> Path:
    """A copy of the package, whose code is asked for."""
    shutil.copytree(ROOT / "src/dapt", tmp_path / "dapt", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "ROOT", tmp_path / "dapt")
    return tmp_path / "dapt"


def file_of(package: Path, module: str) -> Path:
    return package.joinpath(*module.split(".")[1:]).with_suffix(".py")


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert re.search(old, text, re.M), f"{path} has no {old}"
    path.write_text(re.sub(old, new, text, count=1, flags=re.M))


def test_the_modules_are_those_of_another_graph_and_every_room_but_telling_decides():
    found = code.deciding(MODULE)
    assert [name for name in found if name.startswith("dapt.")] == DECIDING
    assert set(ROOMS) == {"core", "mlm", "model", "stages", "training"}
    for library in ("torch", "transformers", "tokenizers", "accelerate"):
        assert found[library] == importlib.metadata.version(library)


@pytest.mark.parametrize("module", DECIDING)
def test_a_byte_of_code_in_any_deciding_module_is_another_run(package, module):
    before = code.deciding(MODULE)
    tree = ast.parse(file_of(package, module).read_text())
    name = next(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    changed(file_of(package, module), rf"^(def|class) {name}\b", rf"\1 {name}x")
    after = code.deciding(MODULE)
    assert {name for name in before if before[name] != after[name]} == {module}


def test_words_decide_nothing(package):
    before = code.deciding(MODULE)
    for path in (package / "telling").glob("*.py"):
        path.write_text(path.read_text() + "\nREWORDED = True\n")
    divergence = package / "training/optimization/divergence.py"
    changed(divergence, "^READ_EVERY = 10 .*$", "READ_EVERY = 10  # another comment")
    changed(package / "training/loop.py", '^"""The training loop', '"""A training loop')
    assert code.deciding(MODULE) == before


@pytest.mark.slow
@pytest.mark.promise
def test_a_stopped_training_resumes_after_a_reworded_message_and_not_after_changed_code(
    tmp_path, model_folder, tokens, special
):
    settings = {"train.steps": 3000, "train.valid_every": 1000, "train.save_every": 5, "train.keep": []}
    folder = ground_in(tmp_path, model_folder, tokens, special, settings)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))

    def stopped() -> str:
        told, begun = folder / "logs/train-biomed.jsonl", events.size(folder / "logs/train-biomed.jsonl")
        process, deadline = by_command(folder), time.monotonic() + 60
        while not any(record["event"] == "checkpoint" for record in events.read(told, begun)):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[0]
        assert process.returncode == 75, said
        return said

    assert "resumed" not in stopped()
    changed(folder / "src/dapt/telling/events.py", "loss on valid", "validation loss")
    said = stopped()
    assert re.search(r"^resumed at step \d+$", said, re.M)
    changed(folder / "src/dapt/training/optimization/divergence.py", "READ_EVERY = 10", "READ_EVERY = 11")
    said = stopped()
    assert "\nresumed" not in said and re.search(
        r"not resumed: step-\d+ in \S+, because of a difference in dapt.training.optimization.divergence", said
    )
