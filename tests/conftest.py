"""Small real things for the tests: a tokenizer, a model that belongs to it, a finished repository."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from repositories import committed_files, run
from sentences import sentences
from small_models import write_model, write_tokenizer
from toy_pipeline import copy_with_toys

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: several workers would wait for each other's threads
    os.environ["OMP_NUM_THREADS"] = "1"
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background script ignores it, and its children would
    signal.signal(signal.SIGINT, lambda *_: None)  # so does this, but a process that it starts has the default again
TOGETHER = {  # tests that share a fixture that takes long run in one worker
    "the finished toy": (
        "tests/test_first_hour.py",
        "tests/test_pipeline.py",
        "tests/test_tutorial.py",
        "tests/tools/test_spread.py",
        "tests/tools/test_sweep.py",
        "tests/launch/test_pipeline.py",
        *(
            f"tests/stages/test_{name}.py"
            for name in ("compare", "evaluate", "report", "split", "summary", "tokenize", "validate")
        ),
    ),
    "the fine-tuned models": (
        "tests/exporting/test_hub.py",
        "tests/exporting/test_embeddings.py",
        "tests/exporting/test_onnx.py",
        "tests/serving/test_app.py",
        "tests/serving/test_engine.py",
        "tests/serving/test_load.py",
        "tests/serving/test_page.py",
        "tests/tasks/test_readme.py",
        "tests/test_use.py",
    ),
    "the full profile": ("tests/test_full.py",),
    "the stand-ins": ("tests/rehearsal/",),
    "the uninterrupted training": ("tests/stages/test_train.py",),
    "the remotes": ("tests/sharing/test_remotes.py",),
    "the remotes that are checked": ("tests/tools/test_doctor_remote.py",),
    "the clone": ("tests/test_other_processor.py",),
    "one Slurm": ("tests/launch/slurm/test_slurm.py",),  # these wait for the longest, so they have three
    "another Slurm": ("tests/launch/slurm/test_restarts.py",),
    "a third Slurm": ("tests/launch/slurm/",),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`: each test is given to the next idle worker, those of TOGETHER to one."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((name for name, places in TOGETHER.items() if nodeid.startswith(places)), nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory) -> Path:
    """A folder with a trained WordPiece tokenizer."""
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"), sentences(200))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, tokenizer_folder) -> Path:
    """A BERT with random weights and that tokenizer."""
    return write_model(tmp_path_factory.mktemp("model"), tokenizer_folder)


@pytest.fixture(scope="session")
def special(model_folder):
    from dapt.model.tokenizer import load_tokenizer

    return load_tokenizer(model_folder)[1]


@pytest.fixture(scope="session")
def tokens(model_folder):
    """120 short and long documents."""
    from dapt.mlm.tokens import encode_tokens
    from dapt.model.tokenizer import load_tokenizer

    tokenizer, special = load_tokenizer(model_folder)
    return encode_tokens(tokenizer, special, sentences(100) + sentences(20, seed=1, longest=200))


@pytest.fixture(scope="session")
def fine_tuned(tmp_path_factory, model_folder) -> Path:
    """A folder in which a model of each kind of task lies where `dapt finetune` writes it, beside models/biomed."""
    from dapt.stages import finetune
    from toys import answers, choices, repository_with, topics

    place = tmp_path_factory.mktemp("fine-tuned")
    shutil.copytree(model_folder, place / "models/biomed")
    settings = {"length": 24, "epochs": 1, "lr": 3e-3}
    for task, rows in (("finance_classification", topics), ("multiple_choice", choices), ("answer_ranking", answers)):
        folder = repository_with(tmp_path_factory.mktemp(task), model_folder, task, rows, settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            finetune.run(task, "base")
        shutil.copytree(folder / "models", place / "models", dirs_exist_ok=True)
    return place


@pytest.fixture(scope="session")
def committed_run(tmp_path_factory) -> Path:
    """A folder with the committed settings and figures, and what pictures are drawn from; not to be changed."""
    folder = tmp_path_factory.mktemp("committed")
    return committed_files(
        folder,
        "metrics",
        "params.yaml",
        "profiles",
        "dvc.yaml",
        "dvc.lock",
        ".gitignore",
        ".dvc",
        "src/dapt/reporting/figures",
    )


@pytest.fixture(scope="session")
def committed_metrics(committed_run) -> Path:
    return committed_run / "metrics"


@pytest.fixture()
def committed(committed_run, tmp_path, monkeypatch) -> Path:
    """A git repository with the committed metrics, in which the test stands."""
    folder = tmp_path / "repository"
    for name in ("metrics", "profiles"):
        shutil.copytree(committed_run / name, folder / name)
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", ".gitignore"):
        shutil.copy(committed_run / name, folder)
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "run")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A repository in which the whole pipeline of a toy ran once from nothing, on this machine, committed."""
    folder = tmp_path_factory.mktemp("one") / "repository"
    folder.mkdir()
    copy_with_toys(folder)
    run(folder, "dvc", "repro")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "run")
    return folder


@pytest.fixture()
def clone(finished, tmp_path) -> Path:
    """A clone of the finished repository with its cache and its outputs."""
    folder = tmp_path / "clone"
    run(finished.parent, "git", "clone", "-q", str(finished), str(folder))
    run(folder, "dvc", "cache", "dir", "--local", str(finished / ".dvc/cache"))
    run(folder, "dvc", "checkout")
    return folder
