"""The profile `full` from a hub on loopback to cleaned rows, by dvc repro: its settings as they are, but for `profile`; raw
files small, in the layouts of the real sources.
"""

import io
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from ruamel.yaml import YAML

from dapt.core.files import read_lines
from hub import Repository, running
from repositories import committed_text, copy_of_tree, run

TEXT = committed_text("params.yaml").replace("profile: sample", "profile: full", 1)
PARAMS, FULL = (YAML(typ="safe", pure=True).load(text) for text in (TEXT, committed_text("profiles/full.yaml")))
BIOASQ = "BioASQ-train-factoid-6b-full-annotated.json"
LONG = "The patients were examined again after an operation that lasted three hours, number"
BRANCH = "0123456789abcdef0123456789abcdef01234567"  # where the one branch in the profile is


def parquet(**columns: list) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def questions(side: str, right: list[int]) -> bytes:
    return parquet(
        id=["1", "2"],
        question=[f"Which vessel is meant in the {side} set, {n}?" for n in "ab"],
        opa=["A"] * 2,
        opb=["B"] * 2,
        opc=["C"] * 2,
        opd=["D"] * 2,
        cop=right,
        choice_type=["single"] * 2,
        exp=[f"It is explained at some length in the books of the {side} set, {n}." for n in "ab"],
        subject_name=["Anatomy", "Surgery"],
        topic_name=[None, "Vessels"],
    )


ANSWERS = [
    {"instruction": f"What is said of shares and bonds in case {number}?", "input": "", "output": "Hold on to them."}
    for number in range(3)
]
FILES = {  # of each repository that the profile reads
    "Hmehdi515/biomedical_en-de": [
        parquet(
            text=[{"en": f"{LONG} {n}.", "de": "Die Patienten."} for n in range(2)]
            + [{"en": "Too short.", "de": "Zu kurz."}]
        )
    ],
    "lukecarlate/english_finance_news": [
        parquet(
            newscontents=[f"The bank raised its rate to {n} percent in London." for n in range(4)], label=[0, 1, 2, 0]
        )
    ],
    "takala/financial_phrasebank": [
        parquet(
            sentence=[
                "Profit of the company rose by a tenth in the third quarter.",
                "Sales of the company fell by a tenth in the third quarter.",
            ],
            label=[2, 0],
        )
    ],
    "llamafactory/fiqa": [json.dumps(ANSWERS[:2]).encode(), json.dumps(ANSWERS[2:]).encode()],
    "openlifescienceai/medmcqa": [
        questions("training", [0, 3]),
        questions("validation", [1, 2]),
        questions("test", [-1, -1]),
    ],
    "Salesforce/wikitext": [
        parquet(text=["", " = Gold dollar = \n", f" {LONG} one . \n", f" {LONG} two . \n"]),
        parquet(text=["", f" {LONG} three . \n"]),
    ],
    "google-bert/bert-base-uncased": [b"weights", b"{}", b"{}", b"{}"],
    "bhadresh-savani/bert-base-go-emotion": [b"{}", b"weights", b"{}", b"{}"],
}
ABSTRACTS = {
    "data": [{"title": "BioASQ6b", "paragraphs": [{"context": f"{LONG} {n}.", "qas": []} for n in (10, 11, 10)]}]
}
KEPT = {
    "biomed_mlm": 2,
    "biomed_mlm_2": 2,
    "finance_mlm1": 6,
    "finance_mlm2": 4,
    "fiqa_labeled": 3,
    "medmcqa_labeled": 6,
    "general": 3,
}
DROPPED = {"biomed_mlm": {"duplicate": 1}, "biomed_mlm_2": {"too short": 1}, "general": {"empty": 2, "heading": 1}}


def repositories() -> dict[str, Repository]:
    """All that the profile names, at its revisions."""
    origins = [source for sources in FULL["corpora"].values() for source in sources]
    origins += [PARAMS["bases"][name] for name in FULL["model"].values()]
    found = {}
    for origin in origins:
        if place := origin.get("hub"):
            name, revision = place["repo"], place["revision"]
            commit = BRANCH if "/" in revision else revision.ljust(40, "0")
            path = name if place.get("type") == "model" else f"datasets/{name}"
            found[path] = Repository(dict(zip(origin["files"], FILES[name], strict=True)), commit, (revision,))
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A repository in which everything was fetched and cleaned once."""
    folder = tmp_path_factory.mktemp("full") / "repository"
    folder.mkdir()
    copy_of_tree(folder)
    (folder / "params.yaml").write_text(TEXT)
    (folder / "data/local" / BIOASQ).write_text(json.dumps(ABSTRACTS))
    with running() as hub, pytest.MonkeyPatch.context() as settings:
        hub.repositories = repositories()
        settings.setenv("HF_ENDPOINT", hub.address)
        settings.setenv("HF_HOME", str(folder.parent / "hf"))
        settings.setenv("NO_PROXY", "127.0.0.1")
        assert "not pinned: Hmehdi515/biomedical_en-de" in run(folder, "dvc", "repro", "-s", "check")
        run(folder, "dvc", "repro", "-s", "fetch_model", *(f"fetch@{name}" for name in KEPT))
        run(folder, "dvc", "repro", "-s", *(f"clean@{name}" for name in KEPT))
    return folder


def rows(folder: Path, corpus: str) -> list[dict]:
    return list(read_lines(folder / f"data/processed/{corpus}.jsonl"))


@pytest.mark.parametrize("corpus", KEPT)
def test_every_row_is_kept_or_dropped_for_a_reason(finished, corpus):
    report = json.loads((finished / f"metrics/clean/{corpus}.json").read_text())
    assert report["kept"] == len(rows(finished, corpus)) == KEPT[corpus]
    assert report["dropped"] == DROPPED.get(corpus, {})
    assert report["rows_in"] == report["kept"] + sum(report["dropped"].values())


def test_the_rows_are_those_of_the_raw_files(finished):
    assert {row["text"] for row in rows(finished, "biomed_mlm")} == {f"{LONG} 10.", f"{LONG} 11."}
    assert {row["text"] for row in rows(finished, "biomed_mlm_2")} == {f"{LONG} 0.", f"{LONG} 1."}
    assert {row.get("label") for row in rows(finished, "finance_mlm1")} == {None, "positive", "negative"}
    assert {row["group"] for row in rows(finished, "general")} >= {"wikitext:Gold dollar"}
    assert sorted(row["split"] for row in rows(finished, "fiqa_labeled")) == ["test", "train", "train"]
    answers = {(row["question"], row.get("answer"), row.get("split")) for row in rows(finished, "medmcqa_labeled")}
    assert ("Which vessel is meant in the training set, b?", 3, "train") in answers
    assert ("Which vessel is meant in the validation set, a?", 1, "test") in answers
    assert ("Which vessel is meant in the test set, a?", None, None) in answers


def test_the_files_of_the_models_are_those_of_the_hub(finished):
    for part, name in (("base", "bhadresh-savani/bert-base-go-emotion"), ("donor", "google-bert/bert-base-uncased")):
        found = [path.read_bytes() for path in (finished / "data/raw/model" / part).iterdir()]
        assert sorted(found) == sorted(FILES[name])


def test_what_the_user_did_not_bring_is_asked_for_or_switched_off(finished):
    (finished / "data/local" / BIOASQ).unlink()
    output = run(finished, "dvc", "repro", "-s", "-f", "fetch@biomed_mlm", code=None)
    assert (
        f"dapt fetch: profiles/full.yaml: corpora.biomed_mlm.0: no such file or folder: data/local/{BIOASQ}; get it from "
        "bioasq.org (Task B training data, after registration) and put it there, or correct files in the settings, or set "
        "corpora.biomed_mlm.enabled: false in params.yaml"
    ) in output
    assert "Traceback" not in output
    (finished / "params.yaml").write_text(TEXT.replace("biomed_mlm: {enabled: true", "biomed_mlm: {enabled: false", 1))
    run(finished, "dvc", "repro", "-s", "check", "fetch@biomed_mlm", "clean@biomed_mlm")
    assert rows(finished, "biomed_mlm") == [] and not list((finished / "data/raw/biomed_mlm").iterdir())
    assert json.loads((finished / "metrics/clean/biomed_mlm.json").read_text())["rows_in"] == 0
