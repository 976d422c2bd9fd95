"""What docs/share.md promises of each kind of remote: pushed from one clone and pulled in another, the bytes are the same; a
damaged object is refused; a pull that was killed or cut off is continued by the same command."""

import shutil
import signal
from hashlib import md5
from pathlib import Path

import pytest

from remotes import KINDS, Cable, content, remote, repository_with_models, teammate
from repositories import run

SMALL, LARGE = 3_000_000, 419_000_000  # bytes of weights; a BERT-base has the latter
MODELS = ("models/biomed", "models/finance")
DIES = """\
import os, signal, sys
left = int(os.environ["OBJECTS_UNTIL_DEATH"])
def watch(event, arguments):
    global left
    if event == "os.rename" and "/cache/files/md5/" in str(arguments[1]):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
"""


@pytest.fixture(scope="module", params=[SMALL, pytest.param(LARGE, marks=pytest.mark.slow)], ids=["small", "large"])
def size(request) -> int:
    return request.param


@pytest.fixture(scope="module", params=KINDS)
def store(request, tmp_path_factory):
    with remote(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture(scope="module")
def pushed(store, size, tmp_path_factory) -> Path:
    """A repository with models, all of them on the remote."""
    folder = tmp_path_factory.mktemp("pushed") / "dapt"
    folder.mkdir()
    repository_with_models(folder, size)
    store.add(folder)
    run(folder, "git", "commit", "-qam", "where the models are")
    store.sign_in(folder)
    run(folder, "dvc", "push", **store.variables)
    yield folder
    shutil.rmtree(folder)  # the large form has a gigabyte


@pytest.fixture()
def mate(store, pushed, tmp_path) -> Path:
    folder = teammate(pushed, tmp_path / "mate")
    store.sign_in(folder)
    yield folder
    shutil.rmtree(folder)


def cached(clone: Path) -> dict[str, tuple[int, int]]:
    """The complete objects of a clone's cache, with what changes if one is written again."""
    found = [path for path in clone.glob(".dvc/cache/files/md5/??/*") if not path.name.endswith(".tmp")]
    return {path.parent.name + path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_a_teammate_gets_the_same_bytes(store, pushed, mate):
    run(mate, "dvc", "pull", *MODELS, "summary.csv", **store.variables)
    for name in MODELS:
        assert content(mate / name) == content(pushed / name) != {}
    assert (mate / "summary.csv").read_bytes() == (pushed / "summary.csv").read_bytes()


def test_what_is_not_to_be_uploaded_stays_here_and_no_secret_is_in_git(store, pushed):
    text = md5((pushed / "text.jsonl").read_bytes()).hexdigest()
    assert store.objects.names() == set(cached(pushed)) - {text} and text in cached(pushed)
    committed = run(pushed, "git", "grep", "-h", "", "HEAD", "--", ".dvc")
    assert store.url in committed
    assert [value for value in (*store.own.values(), *store.variables.values()) if value in committed] == []


def test_one_model_comes_without_the_other(store, pushed, mate):
    run(mate, "dvc", "pull", "models/finance", **store.variables)
    assert content(mate / "models/finance") == content(pushed / "models/finance")
    assert not (mate / "models/biomed").exists() and len(cached(mate)) == 6


def test_a_flipped_byte_is_refused_and_push_sees_neither_that_nor_a_file_that_is_gone(store, pushed, mate):
    weights, card = (pushed / "models/finance" / name for name in ("model.safetensors", "README.md"))
    whole = {md5(path.read_bytes()).hexdigest(): path.read_bytes() for path in (weights, card)}
    flipped, gone = whole
    store.objects.write(flipped, whole[flipped][:-1] + bytes([whole[flipped][-1] ^ 1]))
    store.objects.remove(gone)
    try:
        assert "up to date" in run(pushed, "dvc", "push", **store.variables)
        assert gone not in store.objects.names()
        store.objects.write(gone, whole[gone])
        run(mate, "dvc", "pull", "models/finance", code=1, **store.variables)
        assert flipped not in cached(mate) and not (mate / "models/finance/model.safetensors").exists()
    finally:
        for name, intact in whole.items():
            store.objects.write(name, intact)
    run(mate, "dvc", "pull", "models/finance", **store.variables)
    assert content(mate / "models/finance") == content(pushed / "models/finance")


def test_a_pull_that_was_killed_is_continued(store, pushed, mate, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(DIES)
    dies = {"PYTHONPATH": str(tmp_path), "OBJECTS_UNTIL_DEATH": "4", **store.variables}
    run(mate, "dvc", "pull", *MODELS, code=-signal.SIGKILL, **dies)
    before = cached(mate)
    assert 0 < len(before) < 9 and not (mate / "models").exists()
    run(mate, "dvc", "pull", *MODELS, **store.variables)
    assert content(mate / "models") == content(pushed / "models")
    assert before.items() <= cached(mate).items(), "an object that was complete was fetched again"


def test_a_pull_that_was_cut_off_is_continued(store, size, pushed, mate):
    if not store.port:
        pytest.skip("a folder has no connection that could be cut")
    cable = Cable(store.port, size // 2)
    near = str(cable.port)
    for setting, value in (("url", store.url), *store.shared.items()):
        run(mate, "dvc", "remote", "modify", "--local", "shared", setting, value.replace(str(store.port), near))
    given_up_soon = {"AWS_MAX_ATTEMPTS": "1"}  # by the client of S3
    run(mate, "dvc", "pull", "models/finance", code=1, **store.variables | given_up_soon)
    cable.whole = True
    run(mate, "dvc", "pull", "models/finance", **store.variables)
    assert content(mate / "models/finance") == content(pushed / "models/finance")
