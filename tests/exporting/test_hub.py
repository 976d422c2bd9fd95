"""`dapt export --format hub`: read by plain transformers, and uploaded by the hub's own client to a hub on loopback."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
import transformers
from dvc_data.hashfile.build import build
from dvc_data.hashfile.db import HashFileDB
from dvc_objects.fs.local import LocalFileSystem
from huggingface_hub import ModelCard
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

from dapt.cli import main
from dapt.exporting import upload
from dapt.exporting.licences import PUBLISHABLE, allowing
from dapt.telling.errors import UserError
from hub import TOKEN, Hub, Repository, running
from repositories import ROOT, committed_files, committed_text, replaced

CLASSES = ("AutoModelForMaskedLM", "AutoModel", "AutoModelForSequenceClassification")
POOLER = {"pooler.dense.weight", "pooler.dense.bias"}
SOURCES = ("Apache-2.0 (package), none shown for the texts", "Reuters-21578, free for research")


def stored(path: Path) -> str:
    """DVC's hash of a file or folder, by its own library."""
    database = HashFileDB(LocalFileSystem(), str(path.parent))
    return build(database, str(path), LocalFileSystem(), "md5", dry_run=True)[2].hash_info.value


def edit_lock(folder: Path, change: Callable[[dict], None]) -> None:
    yaml = YAML(typ="safe")
    lock = yaml.load(folder / "dvc.lock")
    change(lock["stages"])
    yaml.dump(lock, folder / "dvc.lock")


def measured(folder: Path, *outputs: str) -> None:
    """Let dvc.lock say that the run made, and the stages after it read, these outputs as they are now."""
    now = {output: stored(folder / output) for output in outputs}

    def change(stages: dict) -> None:
        for stage in stages.values():
            for entry in stage.get("outs", []) + stage.get("deps", []):
                entry["md5"] = now.get(entry["path"], entry.get("md5"))

    edit_lock(folder, change)


@pytest.fixture()
def repository(tmp_path, model_folder, monkeypatch) -> Path:
    """The committed figures and settings, with a small model in models/finance that the figures describe."""
    folder = tmp_path / "repository"
    committed_files(folder, "params.yaml", "profiles", "dvc.yaml", "dvc.lock", "metrics")
    shutil.copytree(model_folder, folder / "models/finance")
    measured(folder, "models/finance")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture()
def hub():
    with running() as hub:
        yield hub


def set_licences(folder: Path, licence: str, *sources: str) -> None:
    """Write a licence in place of these of the profile."""
    path = folder / "profiles/sample.yaml"
    text = path.read_text()
    for source in sources or SOURCES:
        text = text.replace(f"licence: {source}\n", f"licence: {licence}\n")
    path.write_text(text)


@pytest.fixture()
def export(repository, monkeypatch, capsys):
    def call(*words: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["dapt", "export", *words, "--format", "hub"])
        returned, said = main(), "".join(capsys.readouterr())
        assert returned == code, said
        return said

    return call


def missing(folder: Path, name: str) -> set[str]:
    """What plain transformers does not find there."""
    _, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True, local_files_only=True)
    assert not info["mismatched_keys"] and not info.get("error_msgs")
    return set(info["missing_keys"])


def test_transformers_finds_everything_but_a_new_head(export, repository):
    (repository / "models/finance/checkpoint-5").mkdir()
    (repository / "models/finance/checkpoint-5/model.safetensors").write_bytes(b"of an earlier step")
    measured(repository, "models/finance")
    export("models/finance", "out")
    found = {name: missing(repository / "out", name) for name in CLASSES}
    assert found == dict(zip(CLASSES, [set(), set(), {"classifier.weight", "classifier.bias"}]))
    names = {path.name for path in (repository / "out").iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    weights = [(repository / folder / "model.safetensors").read_bytes() for folder in ("models/finance", "out")]
    assert weights[0] == weights[1]


def test_its_outputs_are_those_of_the_model_with_the_pooler_of_the_base(export, repository):
    export("models/finance", "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained("out")
    batch = tokenizer("fever and chills", return_tensors="pt")
    weights = load_file("models/finance/model.safetensors")
    with torch.no_grad():
        found = transformers.AutoModel.from_pretrained("out")(**batch)
        first = found.last_hidden_state[:, 0]
    pooler = torch.tanh(first @ weights["bert.pooler.dense.weight"].T + weights["bert.pooler.dense.bias"])
    assert torch.allclose(found.pooler_output, pooler, atol=1e-6)


def test_where_the_base_had_no_pooler_the_card_says_so(export, repository):
    path = repository / "models/finance/model.safetensors"
    save_file({name: value for name, value in load_file(path).items() if "pooler" not in name}, path, {"format": "pt"})
    measured(repository, "models/finance")
    said = json.loads(export("models/finance", "out", "--json"))
    assert missing(repository / "out", "AutoModel") == POOLER
    assert said["weights"]["AutoModel"] == "new: pooler.dense.bias, pooler.dense.weight"
    assert "The base came without a pooler." in ModelCard.load("out/README.md").text


def test_the_card_has_the_figures_and_every_licence(export, repository):
    said = json.loads(export("models/finance", "out", "--json"))
    card = ModelCard.load("out/README.md")
    comparison = json.loads((repository / "metrics/comparison.json").read_text())
    figures = {(one.dataset_type, one.metric_type): one.metric_value for one in card.data.eval_results}
    for held_out, cell in comparison["matrix"]["finance"].items():
        assert figures.pop((held_out, "loss")) == cell["loss"]
        assert figures.pop((held_out, "perplexity")) == cell["perplexity"]
        assert figures.pop((held_out, "accuracy")) == cell["accuracy"]
    for task, cells in comparison["tasks"].items():
        cell = cells["finance"]
        assert figures.pop((task, cell["metric"])) == cell["mean"]
        for metric, other in cell["others"].items():
            assert figures.pop((task, metric)) == other["mean"]
    assert figures == {}
    assert (card.data.license, card.data.language, card.data.model_name) == ("unknown", ["en"], "finance")
    assert (card.data.library_name, card.data.pipeline_tag) == ("transformers", "fill-mask")
    assert said["licence"] == "unknown" and said["made_from"] == [
        "finance_mlm1/news", "finance_mlm2/reuters", "general/news", "tiny",
    ]  # fmt: skip
    assert all(licence in card.text for licence in (*SOURCES, "tiny: Apache-2.0")) and "## Held-out loss" in card.text
    assert "The licences of finance_mlm1/news, finance_mlm2/reuters, general/news are not known to allow" in card.text


def test_data_sets_and_the_base_of_the_hub_are_named(export, repository):
    """The settings of the profile full, with the same figures."""
    params = repository / "params.yaml"
    params.write_text(replaced(params.read_text(), "profile: sample", "profile: full"))
    full = YAML(typ="safe").load(repository / "profiles/full.yaml")

    def change(stages: dict) -> None:
        stages["fetch_model"]["params"]["profiles/full.yaml"] = {"model": full["model"]}
        for corpus, sources in full["corpora"].items():
            stages[f"fetch@{corpus}"]["params"]["profiles/full.yaml"] = {f"corpora.{corpus}": sources}

    edit_lock(repository, change)
    export("models/finance", "out")
    data = ModelCard.load("out/README.md").data
    assert data.base_model == "bhadresh-savani/bert-base-go-emotion"
    assert data.datasets == ["Salesforce/wikitext", "lukecarlate/english_finance_news", "takala/financial_phrasebank"]


def test_one_licence_of_all_sources_is_that_of_the_model_and_several_are_other(export, repository):
    set_licences(repository, "Apache-2.0")
    export("models/finance", "out")
    card = ModelCard.load("out/README.md")
    assert (card.data.license, card.data.license_name) == ("apache-2.0", None)
    assert "The licences of all sources allow" in card.text
    set_licences(repository, "CC BY 4.0", "Apache-2.0")
    export("models/finance", "other")
    card = ModelCard.load("other/README.md")
    assert (card.data.license, card.data.license_name) == ("other", "of-its-sources")


def test_personal_data_is_warned_of(export, repository):
    said = export("models/finance", "before") + (repository / "before/README.md").read_text()
    assert "personal data" not in said.casefold()
    path = repository / "profiles/sample.yaml"
    path.write_text(
        replaced(path.read_text(), f"licence: {SOURCES[1]}\n", f"licence: {SOURCES[1]}\n    personal: true\n")
    )
    assert "warning: finance_mlm2/reuters may hold personal data, which models/finance can give away" in export(
        "models/finance", "out"
    )
    assert "**Personal data:** the text of finance_mlm2/reuters" in ModelCard.load("out/README.md").text


@pytest.mark.parametrize(
    "task, auto, source",
    [
        ("finance_classification", "AutoModelForSequenceClassification", "finance_mlm2/reuters"),
        ("multiple_choice", "AutoModelForMultipleChoice", "medmcqa_labeled/hpo"),
        ("answer_ranking", "AutoModel", "fiqa_labeled/news"),
    ],
)
def test_a_fine_tuned_model_keeps_its_head_and_has_the_figures_of_its_task(
    export, repository, fine_tuned, task, auto, source
):
    shutil.copytree(fine_tuned / "models", repository / "models", dirs_exist_ok=True)
    folder = f"models/tasks/{task}/base"
    assert "metrics has no figures of" in export(folder, "out", code=2)
    measured(repository, folder)
    said = json.loads(export(folder, "out", "--json"))
    assert missing(repository / "out", auto) == set() and said["weights"][auto] == "complete"
    card = ModelCard.load("out/README.md")
    cell = json.loads((repository / "metrics/comparison.json").read_text())["tasks"][task]["base"]
    figures = {one.metric_type: one.metric_value for one in card.data.eval_results}
    assert figures == {cell["metric"]: cell["mean"]} | {name: one["mean"] for name, one in cell["others"].items()}
    assert source in said["made_from"]
    beside = {path.relative_to(folder) for path in Path(folder).rglob("*.json")}
    assert beside <= {path.relative_to("out") for path in Path("out").rglob("*.json")}


def test_another_model_than_the_measured_one_is_refused(export, repository):
    path = repository / "models/finance/model.safetensors"
    save_file({name: value + 1 for name, value in load_file(path).items()}, path, {"format": "pt"})
    said = export("models/finance", "out", code=2)
    assert "metrics has no figures of models/finance as it is now; run dvc repro" in said and said.count("\n") == 1
    assert sorted(path.name for path in repository.iterdir()) == [
        "dvc.lock",
        "dvc.yaml",
        "metrics",
        "models",
        "params.yaml",
        "profiles",
    ]


@pytest.mark.parametrize(
    "file, old, new, changed",
    [
        ("params.yaml", "  finance:\n  - finance_mlm1\n", "  finance:\n", "domain finance"),
        ("params.yaml", "finance_mlm1: {enabled: true", "finance_mlm1: {enabled: false", "corpus finance_mlm1"),
        ("profiles/sample.yaml", "select: other", "select: finance", "corpus general"),
        ("profiles/sample.yaml", "base: tiny", "base: minilm", "model.base"),
        ("params.yaml", "control: general", "control: biomed", "control"),
        ("params.yaml", "general: {enabled: true", "general: {enabled: false", "corpus general"),
        ("params.yaml", "  general:\n  - general\n", "  general:\n  - biomed_mlm\n", "domain general"),
        ("profiles/sample.yaml", f"licence: {SOURCES[1]}\n", "licence: MIT\n    personal: true\n", None),
    ],
)
def test_other_sources_than_those_of_the_run_are_refused(export, repository, file, old, new, changed):
    """By dvc.lock, which has the settings of the run; what a source is said to be may be corrected."""
    (repository / file).write_text(replaced((repository / file).read_text(), old, new))
    said = export("models/finance", "out", code=2 if changed else 0)
    refused = f"models/finance was made from other sources than the settings name now ({changed}), so its licences are"
    assert (refused in said) == bool(changed) and (repository / "out").exists() == (not changed)


@pytest.mark.parametrize(
    "stage, output, reader",
    [
        ("fetch@general", "data/raw/general", "clean@general"),
        ("clean@finance_mlm1", "data/processed/finance_mlm1.jsonl", "split"),
        ("split", "data/split", "evaluate@finance"),
        ("tokenize@general", "data/tokens/general", "base"),
        ("base", "models/base", "train@finance"),
        ("train@finance", "models/finance", None),
    ],
)
def test_a_model_from_before_a_change_of_its_sources_is_refused(export, repository, stage, output, reader):
    """As dvc.lock is when the pipeline was interrupted after a stage that made something else than in the run of the model."""

    def change(stages: dict) -> None:
        entry = next(out for out in stages[stage]["outs"] if out["path"] == output)
        entry["md5"] = "0" * 32 + (".dir" if entry["md5"].endswith(".dir") else "")

    edit_lock(repository, change)
    said = export("models/finance", "out", code=2)
    if reader:
        assert re.search(
            rf"other sources have gone through the pipeline \([^)]*\b{reader}\b[^)]* did not read what dvc.lock", said
        )
    else:
        assert "metrics has no figures of models/finance as it is now" in said
    assert not (repository / "out").exists() and said.count("\n") == 1


def test_a_corpus_that_was_removed_since_changes_nothing(export, repository):
    """DVC keeps its stages in dvc.lock."""
    edit_lock(
        repository,
        lambda stages: stages.update({"clean@old": {"outs": [{"path": "data/processed/old.jsonl", "md5": "0"}]}}),
    )
    export("models/finance", "out")


def test_a_model_of_a_task_that_has_another_corpus_now_is_refused(export, repository, fine_tuned):
    shutil.copytree(fine_tuned / "models", repository / "models", dirs_exist_ok=True)
    folder = "models/tasks/finance_classification/base"
    measured(repository, folder)
    path = repository / "profiles/sample.yaml"
    path.write_text(
        replaced(
            path.read_text(),
            "  finance_classification:\n    corpus: finance_mlm2",
            "  finance_classification:\n    corpus: finance_mlm1",
        )
    )
    assert "than the settings name now (task finance_classification)" in export(folder, "out", code=2)


@pytest.mark.parametrize("file", ["comparison.json", "eval/finance.json", "eval/biomed.json", "train/finance.json"])
def test_figures_that_are_not_of_the_run_are_refused(export, repository, file):
    path = repository / "metrics" / file
    path.write_text(path.read_text().replace("3", "4"))
    assert "metrics has no figures of models/finance as it is now" in export("models/finance", "out", code=2)


@pytest.mark.parametrize("content", [None, "<<<<<<< HEAD\nstages:\n=======\n", "stages"])
def test_without_a_readable_lock_nothing_is_exported(export, repository, content):
    path = repository / "dvc.lock"
    path.unlink() if content is None else path.write_text(content)
    said = export("models/finance", "out", code=2)
    assert "dvc.lock cannot be read" in said and said.count("\n") == 1


def test_a_model_that_is_not_the_pipelines_is_refused(export, repository):
    (repository / "models/finance").rename(repository / "models/finances")
    said = export("models/finances", "out", code=2)
    assert "models/finances is not a model of params.yaml" in said and "did you mean models/finance?" in said


def client(hub: Hub, folder: Path) -> dict[str, str]:
    """An environment of the hub's client; large files go the way of git LFS, as the store does not speak Xet."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(folder.parent / "hf"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
    }
    return kept | own | {"NO_PROXY": "127.0.0.1"}


@pytest.fixture()
def connected(hub, monkeypatch) -> Hub:
    """The same for the client in this process, which has read its environment already."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return hub


def test_it_is_uploaded_to_a_private_repository_from_which_transformers_loads_it(hub, repository):
    set_licences(repository, "Apache-2.0")
    command = [sys.executable, "-m", "dapt", "export", "models/finance", "out", "--format", "hub"]
    done = subprocess.run(
        [*command, "--push", "tester/finance"], text=True, capture_output=True, env=client(hub, repository)
    )
    assert done.stdout.splitlines()[-1] == f"pushed: {hub.address}/tester/finance (private)", done.stderr
    there = hub.repositories["tester/finance"]
    assert there.private and there.files == {path.name: path.read_bytes() for path in (repository / "out").iterdir()}
    load = """
from transformers import AutoModelForMaskedLM, AutoTokenizer
AutoTokenizer.from_pretrained("tester/finance")
_, info = AutoModelForMaskedLM.from_pretrained("tester/finance", output_loading_info=True)
print(info["missing_keys"])"""
    done = subprocess.run(
        [sys.executable, "-c", load], text=True, capture_output=True, env=client(hub, repository), cwd=repository.parent
    )
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize(
    "licence",
    [
        None,
        "CC BY-NC 4.0",
        "see the package",
        "BioASQ terms",
        "not stated",
        "free for research",
        "Apache-2.0, unless asked",
    ],
)
def test_where_a_licence_forbids_it_or_leaves_it_open_nothing_is_sent(connected, export, repository, licence):
    if licence:
        set_licences(repository, "MIT", SOURCES[0])
        set_licences(repository, f'"{licence}"', SOURCES[1])
    said = export("models/finance", "out", "--push", "tester/finance", code=2)
    assert said.count("\n") == 1
    unclear = [f"finance_mlm2/reuters ({licence or SOURCES[1]})"]
    unclear = unclear if licence else [f"finance_mlm1/news ({SOURCES[0]})", *unclear, f"general/news ({SOURCES[0]})"]
    assert f"forbid publishing it or leave it open: {', '.join(unclear)}; ask their owners" in said
    assert connected.sent == [] and connected.repositories == {} and not (repository / "out").exists()


def test_a_flag_publishes_it_anyway(connected, export):
    said = export("models/finance", "out", "--push", "tester/finance", "--publish-anyway")
    assert f"pushed: {connected.address}/tester/finance (private)" in said
    assert "model.safetensors" in connected.repositories["tester/finance"].files


@pytest.fixture()
def here(connected, tmp_path) -> Path:
    """A folder to upload."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/README.md").write_text("---\nlicense: mit\n---\n\n# finance\n")
    (tmp_path / "out/model.safetensors").write_bytes(bytes(1000))
    return tmp_path / "out"


def test_a_repository_that_exists_gets_the_files_and_stays_public(hub, here):
    hub.repositories["tester/finance"] = Repository({"notes.txt": b"kept"}, "1" * 40)
    assert upload.run(here, "tester/finance") == f"{hub.address}/tester/finance (public)"
    assert set(hub.repositories["tester/finance"].files) == {"notes.txt", "README.md", "model.safetensors"}


@pytest.mark.parametrize(
    "repository, token, card, reason",
    [
        ("tester/finance", "hf_wrong", "license: mit", "the hub does not know you; run hf auth login, or set HF_TOKEN"),
        (
            "someone/finance",
            TOKEN,
            "license: mit",
            "the token may not write there; create one that may, or choose another",
        ),
        (
            "tester/finance",
            TOKEN,
            "license: mine",
            "the hub rejects the card (Invalid metadata in README.md.); correct README.md there",
        ),
    ],
)
def test_why_the_hub_does_not_take_it_is_said_in_a_line(hub, here, repository, token, card, reason, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", token)
    (here / "README.md").write_text(f"---\n{card}\n---\n")
    with pytest.raises(UserError) as raised:
        upload.run(here, repository)
    said = str(raised.value)
    assert said.startswith(f"{repository}: {reason}") and "\n" not in said
    assert said.endswith(f"{here} is complete: once this is solved, run hf upload {repository} {here} . --private")


def test_a_hub_that_cannot_be_reached_is_said_in_a_line(here, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"tester/finance: the upload failed \(.+\); try again later; .* is complete"):
        upload.run(here, "tester/finance")


@pytest.mark.parametrize(
    "name, said", [("finance", "names no owner; write OWNER/finance"), ("a/b/c", "must be OWNER/NAME")]
)
def test_a_name_that_the_hub_does_not_take_is_refused(name, said):
    with pytest.raises(UserError, match=said):
        upload.refuse_name(name)


def test_the_page_on_licences_lists_those_that_pass():
    text = (ROOT / "docs/licences.md").read_text()
    table = text[text.index("| licences | written as |") :].split("\n\n")[0]
    named = re.findall(r"`([^`]+)`", table)
    found = [allowing(name) for name in named]
    assert None not in found and {name for names in found for name in names or []} == PUBLISHABLE


def test_which_licences_of_the_committed_sources_pass():
    texts = committed_text("profiles/sample.yaml") + committed_text("profiles/full.yaml")
    licences = {line.split("licence: ")[1] for line in texts.splitlines() if "licence: " in line}
    assert {one for one in licences if allowing(one)} == {"Apache-2.0", "CC BY-SA 3.0 and GFDL"}
