"""On a full file system each command ends with one line and code 2, leaves nothing half-written, and succeeds once there is
space again."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dapt.core.files import sha256
from dapt.stages import check, clean, fetch, split, tokenize, validate
from dapt.telling import events
from dapt.telling.errors import guarded
from repositories import change, ground_in, run
from slurm_cluster import wait_until
from slurm_runs import newest
from small_disk import missing, mounted
from toy_pipeline import copy_with_toys
from trainings import Forked

PIPELINE = """\
stages:
  train:
    cmd: dapt train biomed
    deps: [models/base, data/tokens/biomed]
    outs: [models/biomed, data/curves/biomed.csv]
"""
WEIGHTS = "models/biomed/model.safetensors"
CHECKPOINT = 300_000  # bytes, at least, of the model that is trained here


@pytest.fixture(autouse=True)
def possible() -> None:
    if why := missing():
        pytest.skip(why)


@pytest.fixture(scope="module")
def ground(tmp_path_factory, model_folder, tokens, special) -> Path:
    settings = {"train.steps": 300, "train.valid_every": 100, "train.save_every": 10, "train.keep": []}
    return ground_in(tmp_path_factory.mktemp("ground"), model_folder, tokens, special, settings)


@pytest.fixture(scope="module")
def uninterrupted(ground, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    shutil.copytree(ground, folder)
    code, said = Forked(folder).end()
    assert code == 0, said
    return folder


def one_line(code: int, said: str) -> str:
    """The last line of a command that the full disk has ended."""
    assert code == 2 and "Traceback" not in said, said
    return said.splitlines()[-1]


def files(folder: Path) -> dict[str, str]:
    """The hash of each file in a folder, by its path there."""
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", ["state", "models", "everything"])
def test_a_training_keeps_its_last_checkpoint_and_resumes_with_the_same_bits(ground, uninterrupted, tmp_path, place):
    folder, state = tmp_path / "disk/run", tmp_path / "state"
    at = {"state": state, "models": folder / "models", "everything": tmp_path / "disk"}[place]
    with mounted(at, 8) as disk:
        shutil.copytree(ground, folder, dirs_exist_ok=True)
        if place == "models":
            disk.fill(CHECKPOINT // 10)
        state = folder / "state" if place == "everything" else state
        training = Forked(folder, {"DAPT_STATE": str(state)})
        if place != "models":
            wait_until(lambda: newest(state) >= 10, 60, "a checkpoint")
            disk.fill(CHECKPOINT // 3)
        line = one_line(*training.end())
        assert line.startswith("dapt train biomed: cannot write ") and "No space left on device" in line
        assert not list(tmp_path.rglob("*.tmp")) and not (folder / WEIGHTS).exists()
        kept = newest(state)
        disk.free()
        code, said = Forked(folder, {"DAPT_STATE": str(state)}).end()
        assert code == 0 and f"resumed at step {kept}\n" in said, said
        assert sha256(folder / WEIGHTS) == sha256(uninterrupted / WEIGHTS)
        assert not any(state.iterdir())


def test_events_that_do_not_fit_are_an_error_and_harm_no_others(ground, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(ground, folder)
    change(folder, {"train.save_every": 2})  # more events than fit into the last page
    with mounted(folder / "logs", 1) as disk:
        training = Forked(folder)
        wait_until(lambda: newest(folder / "state") >= 10, 60, "a checkpoint")
        disk.fill()
        line = one_line(*training.end())
        assert line.startswith("dapt train biomed: cannot write logs/train-biomed.jsonl: No space left on device; free")
        disk.free()
        code, said = Forked(folder).end()
        assert code == 0 and "resumed at step" in said, said
        told = events.read(folder / "logs/train-biomed.jsonl")
        assert [record["event"] for record in told if record["event"] in ("started", "done")] == [
            "started",
            "started",
            "done",
        ]
        lines = (folder / "logs/train-biomed.jsonl").read_text().splitlines()
        assert len(lines) == len(told) + 1, "the disk was full in the middle of a line"
    assert sha256(folder / WEIGHTS) == sha256(uninterrupted / WEIGHTS)


def test_the_stages_of_texts_leave_what_was_there(tmp_path, monkeypatch, capsys):
    """Each stage of the toy pipeline that makes text, first on a full disk, then on one with space."""
    folder = copy_with_toys(tmp_path / "run")
    monkeypatch.chdir(folder)
    corpora = ("biomed_mlm", "biomed_mlm_2", "finance_mlm1", "general")
    stages = [("check", check.run, ()), *(("fetch", fetch.run, (name,)) for name in (*corpora, "model"))]
    stages += [("clean", clean.run, (name,)) for name in corpora]
    stages += [("validate", validate.run, ()), ("split", split.run, ()), ("tokenize", tokenize.run, ("biomed",))]
    with mounted(tmp_path / "disk", 8) as disk:
        for name in ("data", "metrics"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (disk.folder / name).mkdir()
            (folder / name).symlink_to(disk.folder / name)
        for name, stage, given in stages:
            before = files(disk.folder)
            disk.fill()
            capsys.readouterr()
            code = guarded(f"dapt {name}", lambda: stage(*given))
            line = one_line(code, capsys.readouterr().err)
            assert "No space left on device" in line and ("data/" in line or "metrics/" in line), line
            disk.free()
            assert files(disk.folder) == before, line
            stage(*given)
            assert len(files(disk.folder)) > len(before)


def repository_with_one_stage(ground: Path, folder: Path) -> Path:
    shutil.copytree(ground, folder)
    (folder / "dvc.yaml").write_text(PIPELINE)
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, "dvc", "add", "-q", "models/base", "data/tokens/biomed")
    return folder


def test_a_model_that_does_not_fit_into_dvcs_cache_is_recorded_without_a_second_training(
    ground, uninterrupted, tmp_path
):
    folder = repository_with_one_stage(ground, tmp_path / "run")
    with mounted(tmp_path / "cache", 4) as disk:
        run(folder, "dvc", "cache", "dir", str(disk.folder / "cache"))
        disk.fill()
        said = run(folder, "dvc", "repro", code=255, DAPT_STATE=str(tmp_path / "state"))
        assert said.endswith("ERROR: failed to reproduce 'train': [Errno 28] No space left on device\n"), said
        assert sha256(folder / WEIGHTS) == sha256(
            uninterrupted / WEIGHTS
        )  # it is there, but `dvc repro` would train again
        disk.free()
        run(folder, "dvc", "commit", "--force", "train")
        assert "Stage 'train' didn't change" in run(folder, "dvc", "repro")
        shutil.rmtree(folder / "models/biomed")
        run(folder, "dvc", "checkout")
        assert sha256(folder / WEIGHTS) == sha256(uninterrupted / WEIGHTS)


def test_a_launch_says_so_and_goes_on_when_there_is_space(ground, uninterrupted, tmp_path):
    """The logs and events of `dapt launch` on a disk of their own, full before the launch, then full during a training."""
    folder = repository_with_one_stage(ground, tmp_path / "run")
    change(folder, {"train.save_every": 2})
    launch = ("dapt", "launch", "train")
    with mounted(folder / "logs", 1) as disk:
        disk.fill()
        said = run(folder, *launch, code=2, DAPT_STATE=str(tmp_path / "state"))
        assert said.startswith("dapt launch: cannot write logs/train.jsonl: No space left on device; free disk space")
        disk.free()
        with ThreadPoolExecutor(1) as other:
            launched = other.submit(run, folder, *launch, code=2, DAPT_STATE=str(tmp_path / "state"))
            wait_until(lambda: newest(tmp_path / "state") >= 10, 60, "a checkpoint")
            disk.fill()
        assert "did not finish: train (killed; log: logs/launch-train.log); run the same" in launched.result()
        assert "cannot write" in (folder / "logs/launch-train.log").read_text()
        disk.free()
        assert "train: done" in run(folder, *launch, DAPT_STATE=str(tmp_path / "state"))
        assert "resumed at step" in (folder / "logs/launch-train.log").read_text()
    assert sha256(folder / WEIGHTS) == sha256(uninterrupted / WEIGHTS)
