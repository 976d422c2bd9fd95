"""The real client of the hub, in processes of its own, against a hub on loopback."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import small_disk
from dapt.core.config import Origin
from dapt.telling.errors import UserError
from dapt.tools.pin import rewritten
from hub import TOKEN, Hub, Repository, git_hash, running
from repositories import committed_files, committed_params, committed_text, replaced

PARAMS = committed_text("params.yaml").replace("profile: sample", "profile: full", 1)
FULL = committed_text("profiles/full.yaml")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WIKITEXT = "b08601e04326c79dfdd32d625aee71d232d685c3"
TRAIN = "wikitext-103-raw-v1/train-00000-of-00002.parquet"
VALIDATION = "wikitext-103-raw-v1/validation-00000-of-00001.parquet"
FIQA = "b578a77e5524c96ff809d089d2fbd0b3dc5b6565"
TEXTS = {TRAIN: bytes(range(256)) * 3000, VALIDATION: b"validation" * 1000}
ANSWERS = {"train.json": b'[{"instruction": "a"}]', "test.json": b"[]"}


@pytest.fixture()
def hub():
    with running() as hub:
        hub.repositories = {
            "datasets/Salesforce/wikitext": Repository(dict(TEXTS), WIKITEXT),
            "datasets/llamafactory/fiqa": Repository(dict(ANSWERS), FIQA),
            "datasets/Hmehdi515/biomedical_en-de": Repository(
                {"default/train/0000.parquet": b"parts"}, COMMIT, ("refs/convert/parquet",)
            ),
        }
        yield hub


@pytest.fixture()
def repository(tmp_path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    committed_files(folder, "profiles")
    (folder / "params.yaml").write_text(PARAMS)
    return folder


def environment(hub: Hub, folder: Path, settings: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder.parent / "hf"), "NO_PROXY": "127.0.0.1"} | settings


def dapt(hub: Hub, folder: Path, *arguments: str, code: int = 0, **settings: str) -> str:
    """Standard output of `dapt …`; where it fails the last line of errors, which must be dapt's own, and nothing lies in
    data/raw.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dapt", *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
        env=environment(hub, folder, settings),
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    if code:
        assert done.stderr.splitlines()[-1].startswith(f"dapt {arguments[0]}: ") and not list(folder.glob("data/raw/*"))
    return done.stderr.splitlines()[-1] if code else done.stdout


def raw(folder: Path, part: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data/raw" / part).iterdir()}


def flat(files: dict[str, bytes]) -> dict[str, bytes]:
    return {Path(name).name: content for name, content in files.items()}


def change(folder: Path, old: str, new: str, file: str = "params.yaml") -> None:
    (folder / file).write_text(replaced((folder / file).read_text(), old, new))


def written(folder: Path) -> tuple[str, str]:
    """The texts of params.yaml and of the profile."""
    return (folder / "params.yaml").read_text(), (folder / "profiles/full.yaml").read_text()


def cached(folder: Path, content: bytes) -> Path:
    """Where the hub's cache holds a large file."""
    return next((folder.parent / "hf/hub").glob(f"*/blobs/{hashlib.sha256(content).hexdigest()}"))


def test_files_are_downloaded_once_and_then_need_no_hub(hub, repository):
    assert "general/wikitext: train-00000-of-00002.parquet, validation" in dapt(hub, repository, "fetch", "general")
    assert raw(repository, "general/wikitext") == flat(TEXTS) and hub.gets() == list(TEXTS)
    dapt(hub, repository, "fetch", "general")
    dapt(hub, repository, "fetch", "general", HF_HUB_OFFLINE="1")
    assert hub.gets() == list(TEXTS) and raw(repository, "general/wikitext") == flat(TEXTS)


def test_small_files_and_a_branch(hub, repository):
    dapt(hub, repository, "fetch", "fiqa_labeled")
    assert raw(repository, "fiqa_labeled/fiqa") == ANSWERS
    dapt(hub, repository, "fetch", "biomed_mlm_2")
    assert raw(repository, "biomed_mlm_2/biomed_en_de") == {"0000.parquet": b"parts"}


def test_small_files_that_the_hub_packs_are_the_same_files(hub, repository):
    hub.packed = True
    dapt(hub, repository, "fetch", "fiqa_labeled")
    assert raw(repository, "fiqa_labeled/fiqa") == ANSWERS
    dapt(hub, repository, "fetch", "--pin", "fiqa_labeled")
    assert all(hashlib.sha256(content).hexdigest() in written(repository)[1] for content in ANSWERS.values())


def test_without_network_and_cache_it_is_said_in_one_line(hub, repository):
    message = dapt(hub, repository, "fetch", "general", code=2, HF_HUB_OFFLINE="1")
    assert f"Salesforce/wikitext at {WIKITEXT}: the hub cannot be reached and {TRAIN} is not in its cache" in message
    assert not hub.log


def test_a_connection_cut_off_half_way_is_resumed(hub, repository):
    large = bytes(range(256)) * 100_000  # the client writes, and so can resume, in pieces of 10 MiB
    hub.repositories["datasets/Salesforce/wikitext"].files[TRAIN] = large
    hub.cut.add(TRAIN)
    dapt(hub, repository, "fetch", "general")
    assert raw(repository, "general/wikitext") == flat(TEXTS | {TRAIN: large})
    assert hub.log[:2] == [("GET", TRAIN, None), ("GET", TRAIN, f"bytes={10 << 20}-")]


def test_a_store_of_large_files_that_fails_is_one_line_and_plain_http_a_way_round_it(hub, repository):
    hub.xet = True
    message = dapt(hub, repository, "fetch", "general", code=2)
    assert f"Salesforce/wikitext at {WIKITEXT}, {TRAIN}: " in message and "or set HF_HUB_DISABLE_XET=1" in message
    dapt(hub, repository, "fetch", "general", HF_HUB_DISABLE_XET="1")
    assert raw(repository, "general/wikitext") == flat(TEXTS)


def test_a_disk_too_full_for_the_cache_is_one_line_and_enough_space_later(hub, repository, tmp_path):
    if why := small_disk.missing():
        pytest.skip(why)
    with small_disk.mounted(tmp_path / "hf", 4) as disk:
        disk.fill(len(TEXTS[TRAIN]) // 2)
        for plain in ({}, {"HF_HUB_DISABLE_XET": "1"}):
            message = dapt(hub, repository, "fetch", "general", code=2, **plain)
            assert message.startswith("dapt fetch: ") and "No space left on device" in message
        disk.free()
        dapt(hub, repository, "fetch", "general")
    assert raw(repository, "general/wikitext") == flat(TEXTS)


def test_after_a_kill_only_what_was_not_finished_is_downloaded_again(hub, repository):
    hub.held.add(VALIDATION)
    process = subprocess.Popen(
        [sys.executable, "-m", "dapt", "fetch", "general"],
        cwd=repository,
        env=environment(hub, repository, {}),
        stderr=subprocess.DEVNULL,
    )
    assert hub.half.wait(60)
    process.kill()
    process.wait()
    assert not (repository / "data/raw/general").exists()
    hub.held.clear()
    dapt(hub, repository, "fetch", "general")
    assert raw(repository, "general/wikitext") == flat(TEXTS) and hub.gets() == [TRAIN, VALIDATION, VALIDATION]


def test_another_file_than_the_pinned_one_is_refused(hub, repository):
    right = hashlib.sha256(TEXTS[TRAIN]).hexdigest()
    old = f"revision: {WIKITEXT}\n"
    change(repository, old, f"{old}      sha256: [{right}, {'f' * 64}]\n", "profiles/full.yaml")
    message = dapt(hub, repository, "fetch", "general", code=2)
    assert f"{VALIDATION} of Salesforce/wikitext has sha256 {hashlib.sha256(TEXTS[VALIDATION]).hexdigest()}" in message
    assert f"the settings say {'f' * 64}" in message and "correct sha256" in message
    assert hub.gets() == list(TEXTS)  # it is what the hub has, so another download would bring nothing else


@pytest.mark.parametrize("corpus, files", [("general", TEXTS), ("fiqa_labeled", ANSWERS)])
def test_content_that_is_not_what_the_hub_promised_is_refused(hub, repository, corpus, files):
    file = list(files)[-1]
    promised = git_hash(files[file]) if file.endswith("json") else hashlib.sha256(files[file]).hexdigest()
    hub.damaged.add(file)
    message = dapt(hub, repository, "fetch", corpus, code=2)
    assert f"{file} of" in message and f"the hub says {promised}" in message
    assert hub.gets().count(file) == 2


@pytest.mark.parametrize("links", [True, False])
def test_a_damaged_file_of_the_cache_is_downloaded_anew(hub, repository, links):
    settings = {} if links else {"HF_HUB_DISABLE_SYMLINKS": "1"}
    dapt(hub, repository, "fetch", "general", **settings)
    found = [
        path
        for path in (repository.parent / "hf/hub").rglob("*")
        if path.is_file() and not path.is_symlink() and path.read_bytes() == TEXTS[TRAIN]
    ]
    assert len(found) == 1 and ("blobs" in found[0].parts) == links
    found[0].write_bytes(b"x" + TEXTS[TRAIN][1:])
    assert "was damaged in the hub's cache" in dapt(hub, repository, "fetch", "general", **settings)
    assert raw(repository, "general/wikitext") == flat(TEXTS) and hub.gets() == [TRAIN, VALIDATION, TRAIN]
    assert "damaged" not in dapt(hub, repository, "fetch", "general", **settings)


def test_a_damaged_file_of_the_cache_is_not_taken_where_there_is_no_network(hub, repository):
    dapt(hub, repository, "fetch", "general")
    path = cached(repository, TEXTS[TRAIN])
    path.write_bytes(b"x" + TEXTS[TRAIN][1:])
    shutil.rmtree(repository / "data")
    message = dapt(hub, repository, "fetch", "general", code=2, HF_HUB_OFFLINE="1")
    assert f"the hub cannot be reached and {TRAIN} is not in its cache" in message


def test_what_params_know_needs_no_hub_even_where_the_cache_keeps_no_links(hub, repository):
    old = f"revision: {WIKITEXT}\n"
    change(repository, old, f"{old}      sha256: [{', '.join(digests(TEXTS))}]\n", "profiles/full.yaml")
    dapt(hub, repository, "fetch", "general", HF_HUB_DISABLE_SYMLINKS="1")
    asked = len(hub.log)
    dapt(hub, repository, "fetch", "general", HF_HUB_DISABLE_SYMLINKS="1", HF_HUB_OFFLINE="1")
    assert raw(repository, "general/wikitext") == flat(TEXTS) and len(hub.log) == asked


def test_what_the_hub_refuses_is_told_in_one_line(hub, repository):
    wikitext = hub.repositories["datasets/Salesforce/wikitext"]
    wikitext.gated = True
    for settings in ({}, {"HF_TOKEN": TOKEN}):
        message = dapt(hub, repository, "fetch", "general", code=2, **settings)
        assert "is gated; accept its terms on the hub, then set HF_TOKEN" in message
    wikitext.gated = False
    wikitext.commit = COMMIT
    message = dapt(hub, repository, "fetch", "general", code=2)
    assert f"Salesforce/wikitext at {WIKITEXT}: no such revision; correct it in the settings" in message
    wikitext.commit = WIKITEXT
    del wikitext.files[VALIDATION]
    assert f"has no file {VALIDATION}; correct files" in dapt(hub, repository, "fetch", "general", code=2)
    hub.repositories.clear()
    for settings in ({}, {"HF_TOKEN": TOKEN}):
        message = dapt(hub, repository, "fetch", "fiqa_labeled", code=2, **settings)
        assert "llamafactory/fiqa at" in message and "no such repository, or it is private" in message


@pytest.mark.parametrize("where, status", [("hub", 429), ("hub", 503), ("store", 429), ("store", 503)])
def test_a_refusal_that_passes_is_waited_for(hub, repository, where, status):
    hub.refused[f"{where}/{TRAIN}"] = [(status, {"Retry-After": 1})] * (2 if where == "hub" else 1)
    started = time.monotonic()
    dapt(hub, repository, "fetch", "general")
    assert raw(repository, "general/wikitext") == flat(TEXTS)
    assert time.monotonic() - started > 1


@pytest.mark.parametrize(
    "status, message",
    [(429, "allows no more requests for now; try again in some"), (502, "has a problem (502); try again later")],
)
def test_a_refusal_that_stays_is_told_in_one_line(hub, repository, status, message):
    hub.refused[f"hub/{TRAIN}"] = [(status, {"Retry-After": 0})] * 20
    said = dapt(hub, repository, "fetch", "general", code=2)
    assert f"dataset Salesforce/wikitext at {WIKITEXT}, {TRAIN}: the hub {message}" in said


def test_what_the_cache_has_needs_no_hub_that_refuses(hub, repository):
    dapt(hub, repository, "fetch", "general")
    hub.refused[f"hub/{TRAIN}"] = [(429, {"Retry-After": 60})] * 20
    dapt(hub, repository, "fetch", "general")
    assert hub.gets() == list(TEXTS)


def test_a_wrong_token_is_told_in_one_line(hub, repository):
    message = dapt(hub, repository, "fetch", "general", code=2, HF_TOKEN="hf_wrong")
    assert f"{TRAIN}: the hub does not accept the token; correct HF_TOKEN" in message


def test_files_on_disk_are_served_like_those_in_memory(hub, repository, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 100_000)
    hub.repositories["datasets/Salesforce/wikitext"].files[TRAIN] = large
    hub.cut.add(TRAIN)
    dapt(hub, repository, "fetch", "general")
    assert raw(repository, "general/wikitext") == flat(TEXTS | {TRAIN: large.read_bytes()})
    assert hub.log[:2] == [("GET", TRAIN, None), ("GET", TRAIN, f"bytes={10 << 20}-")]


def test_a_private_repository_opens_to_the_token(hub, repository):
    hub.repositories["datasets/Salesforce/wikitext"].private = True
    assert "set HF_TOKEN" in dapt(hub, repository, "fetch", "general", code=2)
    dapt(hub, repository, "fetch", "general", HF_TOKEN=TOKEN)
    assert raw(repository, "general/wikitext") == flat(TEXTS)


def test_a_renamed_repository_is_told_once_and_fetched(hub, repository):
    hub.repositories["datasets/other/texts"] = hub.repositories["datasets/Salesforce/wikitext"]
    hub.repositories["datasets/Salesforce/wikitext"] = Repository({}, WIKITEXT, moved="datasets/other/texts")
    output = dapt(hub, repository, "fetch", "general")
    assert output.count("now called") == 1
    assert "Salesforce/wikitext is now called other/texts; put the new name into the settings\n" in output
    assert raw(repository, "general/wikitext") == flat(TEXTS)
    assert "now called" not in dapt(hub, repository, "fetch", "fiqa_labeled")  # small files are redirected too


def digests(files: dict[str, bytes]) -> list[str]:
    return [hashlib.sha256(content).hexdigest() for content in files.values()]


def test_pin_writes_commit_and_hashes_and_nothing_else(hub, repository):
    output = dapt(hub, repository, "fetch", "--pin", "biomed_mlm_2")
    assert f"pinned biomed_mlm_2/biomed_en_de at {COMMIT}" in output and not (repository / "data").exists()
    [digest] = digests({"": b"parts"})
    old, new = "      revision: refs/convert/parquet\n", f"      revision: {COMMIT}\n      sha256:\n      - {digest}\n"
    assert written(repository) == (PARAMS, replaced(FULL, old, new))
    dapt(hub, repository, "fetch", "--pin", "biomed_mlm_2")
    assert written(repository) == (PARAMS, replaced(FULL, old, new))
    assert "not pinned" not in dapt(hub, repository, "check")


def test_files_that_have_changed_are_pinned_anew(hub, repository):
    given = repository / "data/local/BioASQ-train-factoid-6b-full-annotated.json"
    given.parent.mkdir(parents=True)
    for content in (b"{}", b"{ }"):
        given.write_bytes(content)
        said = dapt(hub, repository, "fetch", "--pin", "biomed_mlm")
        assert f"sha256 {hashlib.sha256(content).hexdigest()}" in said
    old = f"revision: {WIKITEXT}\n"
    change(repository, old, f"{old}      sha256: [{'e' * 64}, {'f' * 64}]\n", "profiles/full.yaml")
    said = dapt(hub, repository, "fetch", "--pin", "general")
    assert all(hashlib.sha256(content).hexdigest() in said for content in TEXTS.values())
    dapt(hub, repository, "fetch", "general")


def test_check_names_what_is_not_pinned(hub, repository):
    assert "not pinned: Hmehdi515/biomedical_en-de; run dapt fetch --pin" in dapt(hub, repository, "check")


def model(*names: str) -> dict[str, bytes]:
    return {name: name.encode() for name in names}


def test_pin_without_a_name_pins_all_that_the_profile_reads(hub, repository):
    bert = model("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")
    emotion = model("config.json", "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json")
    news = {"default/train/0000.parquet": b"news"}
    bank = {"sentences_50agree/financial_phrasebank-train.parquet": b"bank"}
    questions = {f"data/{side}-00000-of-00001.parquet": side.encode() for side in ("train", "validation", "test")}
    hub.repositories |= {
        "google-bert/bert-base-uncased": Repository(bert, "86b5e0934494bd15c9632b12f734a8a67f723594"),
        "bhadresh-savani/bert-base-go-emotion": Repository(emotion, "6ecebb2" + "0" * 33, ("main", "6ecebb2")),
        "datasets/lukecarlate/english_finance_news": Repository(news, "bfa354804f5b6f3ef53c4e484af63ead01c41765"),
        "datasets/takala/financial_phrasebank": Repository(bank, "4a94a2397c42fc3274b7db5632f913eb914e9e0f"),
        "datasets/openlifescienceai/medmcqa": Repository(questions, "91c6572c454088bf71b679ad90aa8dffcd0d5868"),
    }
    assert "BioASQ-train-factoid-6b-full-annotated.json; get it from bioasq.org" in dapt(
        hub, repository, "fetch", "--pin", code=2
    )
    assert written(repository) == (PARAMS, FULL)
    given = repository / "data/local/BioASQ-train-factoid-6b-full-annotated.json"
    given.parent.mkdir(parents=True)
    given.write_bytes(b"{}")
    dapt(hub, repository, "fetch", "--pin")

    texts = written(repository)
    names, full, *after = (YAML(typ="safe", pure=True).load(value) for value in (PARAMS, FULL, *texts))
    corpora = full["corpora"]
    for corpus, number, where, files in [
        ("biomed_mlm", 0, "local", {"": b"{}"}),
        ("biomed_mlm_2", 0, "hub", {"": b"parts"}),
        ("finance_mlm1", 0, "hub", news),
        ("finance_mlm1", 1, "hub", bank),
        ("finance_mlm2", 0, "hub", news),
        ("fiqa_labeled", 0, "hub", ANSWERS),
        ("medmcqa_labeled", 0, "hub", questions),
        ("general", 0, "hub", TEXTS),
    ]:
        corpora[corpus][number][where]["sha256"] = digests(files)
    corpora["biomed_mlm_2"][0]["hub"]["revision"] = COMMIT
    names["bases"]["go-emotion"]["hub"]["sha256"] = digests(emotion)
    names["bases"]["bert-base"]["hub"]["sha256"] = digests(bert)
    assert after == [names, full]
    for before, text in zip((PARAMS, FULL), texts, strict=True):
        kept = [line for line in text.splitlines() if "sha256:" not in line and not re.search(r"- [0-9a-f]{64}$", line)]
        pinned = before.replace("refs/convert/parquet", COMMIT).splitlines()
        assert kept == [line for line in pinned if "sha256:" not in line]
    given.write_bytes(b"[]")
    assert "the settings say" in dapt(hub, repository, "fetch", "biomed_mlm", code=2)


def test_sources_that_share_an_entry_but_not_their_files_are_not_pinned_wrongly(hub, repository):
    hub.repositories["datasets/lukecarlate/english_finance_news"] = Repository(
        {"default/train/0000.parquet": b"news", "other.parquet": b"other"}, "bfa354804f5b6f3ef53c4e484af63ead01c41765"
    )
    hub.repositories["datasets/takala/financial_phrasebank"] = Repository(
        {"sentences_50agree/financial_phrasebank-train.parquet": b"bank"}, "4a94a2397c42fc3274b7db5632f913eb914e9e0f"
    )
    news = """\
    hub:
      repo: lukecarlate/english_finance_news
      revision: bfa354804f5b6f3ef53c4e484af63ead01c41765
    files:
    - default/train/0000.parquet
"""
    change(repository, news, news.replace("hub:", "hub: &news"), "profiles/full.yaml")
    change(repository, news, "    hub: *news\n    files: [other.parquet]\n", "profiles/full.yaml")
    change(repository, "biomed_mlm: {enabled: true", "biomed_mlm: {enabled: false")
    for corpus in ("biomed_mlm_2", "fiqa_labeled", "medmcqa_labeled", "general"):
        change(repository, f"  {corpus}: {{enabled: true", f"  {corpus}: {{enabled: false")
    for name in ("google-bert/bert-base-uncased", "bhadresh-savani/bert-base-go-emotion"):
        hub.repositories[name] = Repository(
            model("config.json", "pytorch_model.bin", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
            "86b5e0934494bd15c9632b12f734a8a67f723594",
            ("6ecebb2",),
        )
    before = written(repository)
    assert "with a source that has other files" in dapt(hub, repository, "fetch", "--pin", code=2)
    assert written(repository) == before


def test_pin_has_nothing_to_do_for_packages(hub, repository):
    change(repository, "profile: full", "profile: sample")
    before = written(repository)
    assert "nothing to pin" in dapt(hub, repository, "fetch", "--pin")
    assert written(repository) == before


@pytest.mark.parametrize(
    "old, new",
    [
        ("{repo: a/b, revision: null}\n", "{repo: a/b, revision: c,\n    sha256: [d,\n             e]}\n"),
        (
            "\n  revision: 'main'  # why\n\n  # and\n  repo: a/b  # this\n\n# end\n",
            "\n  revision: c  # why\n\n  # and\n  repo: a/b  # this\n  sha256:\n  - d\n  - e\n\n# end\n",
        ),
        ("\n  revision: main\n  sha256: []\n  repo: a/b", "\n  revision: c\n  sha256: [d,\n           e]\n  repo: a/b"),
        (
            "\n  sha256:\n  - a\n  # b\n  - b  # c\n  revision: main\n",
            "\n  sha256:\n  - d\n  - e  # c\n  revision: c\n",
        ),
    ],
)
def test_a_setting_is_written_where_it_belongs_in_either_style(old, new):
    assert rewritten(f"h: {old}", Path("file"), ["h"], {"revision": "c", "sha256": ["d", "e"]}) == f"h: {new}"


def test_an_entry_that_is_not_written_out_is_pinned_by_hand():
    with pytest.raises(UserError, match="hub of x.hub is not written out there; make the change by hand"):
        rewritten(
            "y: &y {hub: {repo: a/b, revision: main}}\nx: {<<: *y}\n", Path("file"), ["x", "hub"], {"revision": "c"}
        )
    with pytest.raises(UserError, match="x.revision is empty"):
        rewritten("x: {repo: a/b, revision: }\n", Path("file"), ["x"], {"revision": "c"})


@pytest.mark.parametrize("place", [{"hub": {"repo": "a/b", "revision": "main"}}, {"local": {"folder": "data/local"}}])
def test_hashes_are_hashes_and_one_for_each_file(place):
    [(kind, settings)] = place.items()
    for hashes, message in (["0" * 64], "one hash for each entry of files"), (["0" * 63, "0" * 64], "pattern"):
        with pytest.raises(ValueError, match=message):
            Origin.model_validate({kind: settings | {"sha256": hashes}, "files": ["a", "b"], "licence": "test"})
    assert committed_params(("params.yaml", "profile: sample", "profile: full")).unpinned()


def test_the_files_of_a_model_are_found_in_its_repository(hub, repository):
    files = {"README.md": b"", "config.json": b"{}", "vocab.txt": b"a", "pytorch_model.bin": b"w", "tf_model.h5": b"x"}
    hub.repositories["dmis-lab/biobert"] = Repository(files, COMMIT)
    entry = "  biobert: {hub: {repo: dmis-lab/biobert, revision: main, type: model}, files: auto, licence: none}\n"
    change(repository, "bases:\n", f"bases:\n{entry}")
    change(repository, "  base: go-emotion\n  donor: bert-base\n", "  base: biobert\n", "profiles/full.yaml")
    assert "model/base: config.json, pytorch_model.bin, vocab.txt" in dapt(hub, repository, "fetch", "model")
    assert raw(repository, "model/base") == {
        name: files[name] for name in ("config.json", "pytorch_model.bin", "vocab.txt")
    }
    assert f"pinned model/base at {COMMIT}" in dapt(hub, repository, "fetch", "--pin", "model")
    assert f"repo: dmis-lab/biobert, revision: {COMMIT}, type: model" in (repository / "params.yaml").read_text()
    del files["pytorch_model.bin"]
    shutil.rmtree(repository / "data")
    message = dapt(hub, repository, "fetch", "model", code=2)
    assert "dmis-lab/biobert: files: auto needs exactly one folder with a config.json and weights" in message


def parquet(**columns: list[str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def test_a_corpus_is_added_from_the_hub_pinned_and_from_its_parquet_branch_where_it_is_a_script(hub, repository):
    body = parquet(body=["The court held that this is so.", "The court held that it is not so."])
    hub.repositories |= {
        "datasets/laws/plain": Repository(
            {"a/train/0.parquet": body, "b/train/0.parquet": b"", "a/test/0.parquet": b""}, COMMIT
        ),
        "datasets/laws/script": Repository(
            {"script.py": b"x"},
            "1" * 40,
            branches={
                "refs/convert/parquet": Repository(
                    {"default/train/0000.parquet": body}, "2" * 40, ("refs/convert/parquet",)
                )
            },
        ),
    }
    common = ("--to", "finance", "--column", "body", "--profile", "full")
    assert "several configurations: a, b" in dapt(
        hub, repository, "add", "corpus", "x", "--from", "hub:laws/plain", *common, code=2
    )
    said = dapt(
        hub,
        repository,
        "add",
        "corpus",
        "laws",
        "--from",
        "hub:laws/plain",
        "--config",
        "a",
        "--split",
        "train",
        *common,
    )
    assert "a/train/0.parquet: 2 of 2 documents are kept" in said
    dapt(hub, repository, "add", "corpus", "script", "--from", "hub:laws/script", *common)
    corpora = YAML(typ="safe", pure=True).load((repository / "profiles/full.yaml").read_text())["corpora"]
    digest = hashlib.sha256(body).hexdigest()
    assert corpora["laws"][0]["hub"] == {"repo": "laws/plain", "revision": COMMIT, "sha256": [digest]}
    assert corpora["laws"][0]["files"] == ["a/train/0.parquet"]
    assert corpora["script"][0]["hub"] == {"repo": "laws/script", "revision": "2" * 40, "sha256": [digest]}
    dapt(hub, repository, "fetch", "script")
    assert raw(repository, "script/script") == {"0000.parquet": body}
