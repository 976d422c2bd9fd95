"""The stand-ins for what the profile `full` downloads: their layouts and quirks, and that the pipeline finds in them what they
were built to contain. They are short here; the counts of the real sources are in test_full_counts.
"""

import io
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dapt.core import config
from dapt.core.files import read_lines, sha256
from dapt.judging import probe
from dapt.mlm.masked_lm import MaskedLM
from dapt.model import checkpoint
from dapt.model.tokenizer import load_tokenizer
from dapt.training.head_repair import transplant
from rehearsal.agreement import BANK, NEWS, PLACES, counts, expected, shared_news, without_kind
from rehearsal.biomedical import BIOASQ, MEDMCQA, bioasq, english_german
from rehearsal.finance import fiqa, news, phrasebank
from rehearsal.hub import make
from rehearsal.models import BASE, DONOR
from rehearsal.text import Words, embedded
from repositories import ROOT, committed_files, committed_text, run

SCALE = 0.04
SCHEMAS = {
    f"{NEWS}/default/train/0000.parquet": {"newssource": "string", "newscontents": "string", "label": "int64"},
    f"{BANK}/sentences_50agree/financial_phrasebank-train.parquet": {"sentence": "string", "label": "int64"},
    "Hmehdi515/biomedical_en-de/default/train/0000.parquet": {"text": "struct<en: string, de: string>"},
    "openlifescienceai/medmcqa/data/validation-00000-of-00001.parquet": {
        **dict.fromkeys(["id", "question", "opa", "opb", "opc", "opd"], "string"),
        "cop": "int64",
        **dict.fromkeys(["choice_type", "exp", "subject_name", "topic_name"], "string"),
    },
    "Salesforce/wikitext/wikitext-103-raw-v1/train-00000-of-00002.parquet": {"text": "string"},
}


@pytest.fixture(scope="module")
def params() -> config.Params:
    return config.load(ROOT)


@pytest.fixture(scope="module")
def words(params) -> dict[str, Words]:
    return embedded(params)


@pytest.fixture(scope="module")
def made(params, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rehearsal") / "stand-ins"
    make(params, folder, SCALE, small=True)
    return folder


@pytest.fixture(scope="module")
def record(made) -> dict[str, dict[str, int]]:
    return without_kind(json.loads((made / "record.json").read_text()))


@pytest.fixture(scope="module")
def finished(made) -> Path:
    """A repository with the profile `full` in which everything was fetched from the command's hub, in spite of its troubles,
    cleaned and split."""
    folder = made.parent / "repository"
    folder.mkdir()
    committed_files(folder, "profiles", "dvc.yaml", "params.yaml")
    (folder / "params.yaml").write_text(committed_text("params.yaml").replace("profile: sample", "profile: full", 1))
    hub = subprocess.Popen(
        [sys.executable, "-m", "rehearsal", str(made), "--trouble"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{ROOT}/src:{ROOT}/tests/helpers"},
    )
    said = ""
    try:
        answer = json.loads(hub.stdout.readline())
        (folder / "data/local").mkdir(parents=True)
        shutil.copy(answer["local"], folder / "data/local")
        settings = {"HF_ENDPOINT": answer["address"], "HF_HOME": str(made.parent / "hf"), "NO_PROXY": "127.0.0.1"}
        for command in (["fetch", "model"], *([stage, corpus] for corpus in PLACES for stage in ("fetch", "clean"))):
            said += run(folder, sys.executable, "-m", "dapt", *command, PYTHONPATH=f"{ROOT}/src", **settings)
    finally:
        hub.terminate()
    assert hub.wait(30) == 0 and "HTTP Error 429" in said
    run(folder, sys.executable, "-m", "dapt", "split", PYTHONPATH=f"{ROOT}/src")
    return folder


def table(made: Path, name: str) -> list[dict]:
    return pq.read_table(made / "hub/datasets" / name).to_pylist()


def clean_report(folder: Path, corpus: str) -> dict:
    return json.loads((folder / f"metrics/clean/{corpus}.json").read_text())


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_those_of_the_sources(made, name):
    schema = pq.read_schema(made / "hub/datasets" / name)
    assert {column.name: str(column.type) for column in schema} == SCHEMAS[name]


def test_quirks_of_the_news(made, record):
    bank = {row["sentence"] for row in table(made, f"{BANK}/sentences_50agree/financial_phrasebank-train.parquet")}
    texts = {row["newscontents"] for row in table(made, f"{NEWS}/default/train/0000.parquet")}
    kept = {text for text in texts if len(text) > 30}
    for name, pattern in (("hangul", "[\uac00-\ud7a3]"), ("questions", r"\?\?"), ("urls", "https?://")):
        assert sum(bool(re.search(pattern, text)) for text in kept) == record[NEWS][name]
    assert len(kept) == record[NEWS]["original"] and len(kept & bank) == record[NEWS]["shared"]
    assert len({text for text in bank if len(text) > 30} - kept) == record[BANK]["original"] - record[NEWS]["shared"]


def test_quirks_of_questions_and_answers(made, record):
    for side, counts in MEDMCQA.items():
        rows = table(made, f"openlifescienceai/medmcqa/data/{side}-00000-of-00001.parquet")
        assert len(rows) == record["openlifescienceai/medmcqa"][side] == round(counts["rows"] * SCALE)
        assert {row["cop"] for row in rows} == ({-1} if side == "test" else {0, 1, 2, 3})
        assert len({row["subject_name"] for row in rows}) == 21
        assert sum(row["topic_name"] is None for row in rows) == round(counts["no_topic"] * SCALE)
        explained = [row["exp"] for row in rows if row["exp"]]
        assert len(rows) - len(explained) == round(counts["short"] * SCALE) + round(counts["bare"] * SCALE)
        if explained:
            assert sum(text.startswith("Ans") for text in explained) == pytest.approx(0.49 * len(explained), rel=0.2)
            assert sum("\n" in text for text in explained) == pytest.approx(0.29 * len(explained), rel=0.3)
    answers = json.loads((made / "hub/datasets/llamafactory/fiqa/train.json").read_text())
    assert {tuple(row) for row in answers} == {("instruction", "input", "output")}
    assert (
        sum(len(row["output"]) > 100 for row in answers) == len(answers) - record["llamafactory/fiqa"]["short_answers"]
    )


def test_layouts_of_bioasq_and_of_general_text(made):
    [article] = json.loads((made / "local" / BIOASQ).read_text())["data"]
    for paragraph in article["paragraphs"]:
        [answer] = paragraph["qas"][0]["answers"]
        assert paragraph["context"][answer["answer_start"] :].startswith(answer["text"])
    rows = [row["text"] for row in table(made, "Salesforce/wikitext/wikitext-103-raw-v1/train-00000-of-00002.parquet")]
    assert (
        rows[0] == ""
        and rows[1].startswith(" = ")
        and rows[1].endswith(" = \n")
        and any(" @-@ " in row for row in rows)
    )


def test_pairs_as_json_are_the_same_pairs():
    def pairs(as_json: bool) -> list:
        words = Words("a", ["A text of these words."]), Words("b", ["Ein Text aus diesen Wörtern."])
        [file] = english_german(*words, 0.0001, as_json).files.values()
        return pq.read_table(io.BytesIO(file)).column("text").to_pylist()

    assert [json.loads(pair) for pair in pairs(True)] == pairs(False)


@pytest.mark.parametrize("corpus", PLACES)
def test_the_pipeline_counts_what_was_built(finished, record, corpus):
    assert counts(clean_report(finished, corpus), corpus) == expected(record, corpus)


def test_labels_survive_that_the_news_contain_the_sentences(finished, record):
    labels = Counter(row.get("label") for row in read_lines(finished / "data/processed/finance_mlm1.jsonl"))
    assert {name: labels[name] for name in ("negative", "neutral", "positive")} == {
        name: record[BANK][name] for name in ("negative", "neutral", "positive")
    }


def test_the_overlap_of_the_finance_corpora_is_reported(finished, record):
    overlap = json.loads((finished / "metrics/split.json").read_text())["held_by"]
    assert overlap["finance_mlm2"]["finance_mlm1"] == overlap["finance_mlm1"]["finance_mlm2"] == shared_news(record)


def test_models_are_repaired_with_the_donor(finished, record):
    folders = {name: finished / "data/raw/model" / part for name, part in ((BASE, "base"), (DONOR, "donor"))}
    network, found = checkpoint.load(folders[BASE])
    tokenizer, special = load_tokenizer(folders[BASE])
    model = MaskedLM(network)
    assert len(found.missing) == record[BASE]["missing"] and special.vocabulary == 30_522
    assert probe.head(model, tokenizer, special, found.head_missing)["head"] == "missing"
    transplant(model, tokenizer, folders[DONOR])
    assert probe.head(model, tokenizer, special)["head"] == "trained"
    assert len(checkpoint.pooler(folders[BASE], "bert")) == 2


def test_two_runs_make_the_same_bytes(params, made, tmp_path):
    make(params, tmp_path, SCALE, small=True)
    files = [path.relative_to(made) for path in made.rglob("*") if path.is_file()]
    assert files and all(sha256(made / file) == sha256(tmp_path / file) for file in files)


def test_full_counts(words):
    """The rows that the original project's rule keeps of the real sources."""
    bank, shared = phrasebank(words["finance"])
    articles = news(words["finance"], shared)
    assert (bank.record["rows"], bank.record["original"]) == (4_846, 4_812)
    assert (articles.record["original"], articles.record["shared"]) == (19_912, 4_701)
    assert articles.record["original"] + bank.record["original"] - len(shared) == 20_023
    assert articles.record["rows"] == 27_140
    assert fiqa(words["finance"]).record["original"] == 6_486
    assert bioasq(words["clinical"]).record["original"] == 2_511
    assert english_german(words["clinical"], words["german"]).record["original"] == 11_145
    assert sum(part["rows"] - part["short"] - part["repeated"] for part in MEDMCQA.values()) == 178_743
    assert [part["rows"] for part in MEDMCQA.values()] == [182_822, 4_183, 6_150]
