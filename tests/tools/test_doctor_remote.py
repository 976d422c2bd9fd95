"""`dapt doctor --remote`: each kind of remote on loopback, with objects that are missing, flipped in a byte and cut short."""

import errno
import json
import os
import shutil
import sys
from hashlib import md5
from pathlib import Path

import pytest
from dvc_data.hashfile.db import HashFileDB
from ruamel.yaml import YAML

from dapt.telling.errors import UserError
from dapt.tools import doctor_remote
from dapt.tools.doctor_remote import SHOWN, Object, lines
from remotes import KINDS, Remote, remote, repository_with_models, teammate
from repositories import ROOT, run

DAPT = str(Path(sys.executable).parent / "dapt")


@pytest.fixture(scope="module", params=KINDS)
def store(request, tmp_path_factory):
    with remote(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture(scope="module")
def pushed(store, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pushed") / "dapt"
    folder.mkdir()
    repository_with_models(folder, 20_000)
    store.add(folder)
    run(folder, "git", "commit", "-qam", "where the models are")
    store.sign_in(folder)
    run(folder, "dvc", "push", **store.variables)
    return folder


def hash_of(path: Path) -> str:
    return md5(path.read_bytes()).hexdigest()


def list_of(repository: Path, stage: str) -> str:
    """The hash of an output that is a folder, as dvc.lock has it."""
    return YAML(typ="safe").load(repository / "dvc.lock")["stages"][stage]["outs"][0]["md5"]


@pytest.fixture()
def broken(store, pushed) -> dict[str, str]:
    """What is wrong with the remote: the hash of the object that is missing, of one with a flipped byte and of one cut short."""
    found = {
        "missing": hash_of(pushed / "models/biomed/README.md"),
        "flipped": hash_of(pushed / "models/finance/model.safetensors"),
        "short": list_of(pushed, "train@biomed"),
    }
    whole = {name: store.objects.read(name) for name in found.values()}
    flipped = whole[found["flipped"]]
    store.objects.remove(found["missing"])
    store.objects.write(found["flipped"], flipped[:-1] + bytes([flipped[-1] ^ 1]))
    store.objects.write(found["short"], whole[found["short"]][:-5])
    yield found
    for name, content in whole.items():
        store.objects.write(name, content)


def variables(store: Remote) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT / "src"), **store.variables}


def doctor(store: Remote, folder: Path, *options: str, code: int = 0) -> dict:
    """What it prints as JSON; what else it says goes to another stream."""
    said = run(
        folder,
        "bash",
        "-c",
        f"{DAPT} doctor --remote --json {' '.join(options)} 2>errors",
        code=code,
        **variables(store),
    )
    return json.loads(said)


def hashes(objects: list[dict]) -> set[str]:
    return {each["hash"] for each in objects}


def test_a_whole_remote_has_every_object_and_no_problem(store, pushed):
    files = [path for path in pushed.glob("models/*/*")] + [pushed / "summary.csv"]
    lists = {list_of(pushed, "train@biomed"), list_of(pushed, "train@finance")}
    found = doctor(store, pushed)
    assert found["objects"] == len({hash_of(path) for path in files} | lists) and found["problems"] == []
    assert found["remote"] == "shared" and found["missing"] == found["damaged"] == found["unknown"] == []


def test_it_names_what_is_missing_and_what_is_damaged(store, pushed, broken):
    found = doctor(store, pushed)
    assert found["missing"] == [{"hash": broken["missing"], "paths": ["models/biomed/README.md"]}]
    assert {each["hash"]: each["paths"] for each in found["damaged"]} == {
        broken["flipped"]: ["models/finance/model.safetensors"],
        broken["short"]: ["models/biomed"],
    }
    assert len(found["problems"]) == 1 and "3 of 10 objects" in found["problems"][0] and found["repaired"] == []


def test_a_clone_without_a_cache_finds_the_same_but_for_the_files_of_a_damaged_list(store, pushed, broken, tmp_path):
    mate = teammate(pushed, tmp_path / "mate")
    store.sign_in(mate)
    found = doctor(store, mate)
    assert found["missing"] == [] and hashes(found["damaged"]) == {broken["flipped"], broken["short"]}
    assert (
        found["unknown"] == ["models/biomed"]
        and "the files of models/biomed could not be checked" in found["problems"][1]
    )
    before = {name: store.objects.read(name) for name in store.objects.names()}
    assert "2 objects could not be repaired" in run(
        mate, DAPT, "doctor", "--remote", "--repair", code=2, **variables(store)
    )
    assert {name: store.objects.read(name) for name in store.objects.names()} == before


def test_it_repairs_from_the_cache_and_a_teammate_gets_the_bytes(store, pushed, broken, tmp_path):
    said = run(pushed, DAPT, "doctor", "--remote", "shared", "--repair", **variables(store))
    assert "1 missing, 2 damaged, 3 repaired" in said and "no problems" in said
    for name in broken.values():
        assert md5(store.objects.read(name)).hexdigest() == name.removesuffix(".dir")
    assert doctor(store, pushed)["problems"] == []
    mate = teammate(pushed, tmp_path / "mate")
    store.sign_in(mate)
    run(mate, "dvc", "pull", "models/biomed", "models/finance", **store.variables)
    assert hash_of(mate / "models/finance/model.safetensors") == broken["flipped"]


def test_a_damaged_cache_overwrites_nothing(store, pushed, broken):
    cached = pushed / ".dvc/cache/files/md5" / broken["flipped"][:2] / broken["flipped"][2:]
    whole, damaged = cached.read_bytes(), store.objects.read(broken["flipped"])
    cached.unlink()  # it may be a link to the file in the workspace
    cached.write_bytes(b"damaged in another way")
    cached.chmod(0o444)  # as DVC leaves it, and therefore trusts it
    try:
        found = doctor(store, pushed, "--repair", code=2)
    finally:
        cached.unlink()
        cached.write_bytes(whole)
    assert hashes(found["repaired"]) == {broken["missing"], broken["short"]}
    assert store.objects.read(broken["flipped"]) == damaged and "1 of 10 objects" in found["problems"][0]


def test_of_a_long_list_the_beginning_is_shown():
    shown = list(lines("missing", [Object("0f", ("models/a",))] * (SHOWN + 5)))
    assert len(shown) == SHOWN + 1 and shown[-1] == "missing: 5 more (`--json` lists them all)"


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """With remotes that cannot be used, and without a default remote."""
    folder = tmp_path_factory.mktemp("refused") / "dapt"
    folder.mkdir()
    repository_with_models(folder, 100)
    for name, url in (
        ("shared", "../nowhere"),
        ("packed", "gs://bucket"),
        ("away", "ssh://127.0.0.1:9/store"),
        ("versions", "s3://models"),
    ):
        run(folder, "dvc", "remote", "add", "-q", name, url)
    run(folder, "dvc", "remote", "modify", "versions", "version_aware", "true")
    return folder


@pytest.mark.parametrize(
    "words, message",
    [
        ("--remote shred", "DVC has no remote 'shred'; did you mean shared?"),
        ("--remote storage", "DVC has no remote 'storage'; choose one of: shared, packed, away, versions"),
        ("--remote", "DVC has no default remote; name one"),
        ("--repair", "--repair works only with --remote"),
        ("--remote packed", "needs a package that is not installed (gs is supported, but requires 'dvc-gs'"),
        ("--remote versions", "the remote versions cannot be compared with dvc.lock: "),
        ("--remote away", "the remote away cannot be read or written ("),
    ],
)
def test_what_a_user_can_correct_is_one_line(repository, words, message):
    said = run(repository, DAPT, "doctor", *words.split(), code=2, PYTHONPATH=str(ROOT / "src"))
    assert message in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "file, message",
    [
        (".dvc/config.local", "DVC cannot read .dvc/config or .dvc/config.local: "),
        (".dvc/config", "DVC cannot read .dvc/config or .dvc/config.local: "),
        ("dvc.lock", "DVC cannot read dvc.yaml or dvc.lock: "),
        ("dvc.yaml", "DVC cannot read dvc.yaml or dvc.lock: "),
    ],
)
def test_a_file_with_the_marks_of_a_merge_is_named(repository, tmp_path, file, message):
    clone = shutil.copytree(repository, tmp_path / "clone")
    with open(clone / file, "a") as text:
        text.write("<<<<<<< HEAD\n  a: b\n=======\n")
    said = run(clone, DAPT, "doctor", "--remote", "shared", code=2, PYTHONPATH=str(ROOT / "src"))
    assert message in said and len(said.splitlines()) == 1


def test_a_repair_that_fails_tells_what_it_had_found(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "dapt"
    folder.mkdir()
    repository_with_models(folder, 100)
    run(folder, "dvc", "remote", "add", "-q", "-d", "shared", "../store")
    run(folder, "dvc", "push", "-q")
    weights = hash_of(folder / "models/finance/model.safetensors")
    (tmp_path / f"store/files/md5/{weights[:2]}/{weights[2:]}").unlink()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.chdir(folder)
    monkeypatch.setattr(HashFileDB, "add", full)
    with pytest.raises(UserError, match="the remote shared cannot be read or written .*No space left on device"):
        doctor_remote.run(None, repairing=True, as_json=False)
    assert f"missing: models/finance/model.safetensors, {weights}" in capsys.readouterr().out


def test_a_folder_that_is_not_mounted_is_not_filled(repository):
    said = run(repository, DAPT, "doctor", "--remote", "shared", "--repair", code=2, PYTHONPATH=str(ROOT / "src"))
    assert "has none of the 10 objects at" in said and not (repository.parent / "nowhere").exists()
