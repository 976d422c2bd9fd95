"""The stand-in's raw files, read here by other means than the cleaners', and the two ways that are timed on them."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dapt.bench import clean as bench
from dapt.bench import standin
from dapt.core import config
from dapt.core.files import read_lines, sha256, write_lines
from dapt.corpus.cleaning import clean
from dapt.telling.errors import UserError
from sentences import sentences

SCALE = 0.02
HANGUL = re.compile("[\uac00-\ud7a3]")


def texts() -> dict[str, list[str]]:
    return {domain: sentences(1000, seed) for seed, domain in enumerate(standin.EMBEDDED)}


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    standin.write(folder, texts(), SCALE)
    return folder


def files(raw: Path, corpus: str) -> dict[str, list[Path]]:
    return {name: [raw / name / file for file in names] for name, names in standin.SOURCES[corpus].items()}


def raw_rows(path: Path) -> list[dict]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    value = json.loads(path.read_text())
    return value if isinstance(value, list) else value["data"][0]["paragraphs"]


def share(found) -> float:
    found = list(found)
    return sum(map(bool, found)) / len(found)


def test_the_sources_are_those_of_the_full_profile():
    full = config.load().profiles["full"].corpora
    assert standin.SOURCES == {
        corpus: {source.cleaner: [Path(file).name for file in source.files] for source in full[corpus]}
        for corpus in full
        if corpus != "general"
    }


@pytest.mark.parametrize(
    "corpus, original_keeps",
    [
        ("biomed_mlm", 2_511),
        ("biomed_mlm_2", 11_145),
        ("finance_mlm1", 20_023),
        ("finance_mlm2", 19_912),
        ("fiqa_labeled", 6_486),
        ("medmcqa_labeled", 178_743),
    ],
)
def test_each_cleaner_reads_its_part_and_the_original_would_keep_as_many_rows(raw, tmp_path, corpus, original_keeps):
    sources = files(raw, corpus)
    report = clean(corpus, [(name, paths, {}) for name, paths in sources.items()], tmp_path / "out.jsonl").as_dict()
    assert report["rows_in"] == sum(len(raw_rows(path)) for paths in sources.values() for path in paths)
    assert report["rows_in"] == report["kept"] + sum(report["dropped"].values())
    assert report["kept"] == len(list(read_lines(tmp_path / "out.jsonl")))
    assert "not text" not in report["dropped"] and "no label" not in report["dropped"]
    assert report["original_rule"]["kept"] == pytest.approx(SCALE * original_keeps, rel=0.02)


def test_the_news_are_as_broken_as_the_real_ones(raw):
    news = [row["newscontents"] for row in raw_rows(raw / "finance_news/0000.parquet")]
    phrases = {row["sentence"] for row in raw_rows(raw / "financial_phrasebank/financial_phrasebank-train.parquet")}
    different = {text for text in news if len(text) > 30}
    assert len(different) / len(news) == pytest.approx(19_912 / 27_100, abs=0.01)
    assert share(HANGUL.search(text) for text in different) == pytest.approx(0.17, abs=0.04)
    assert share("??" in text for text in different) == pytest.approx(0.22, abs=0.04)
    assert share("://" in text for text in different) == pytest.approx(0.28, abs=0.04)
    assert len(different & phrases) / len(phrases) == pytest.approx(4_701 / 4_838, abs=0.02)


def test_medmcqa_lacks_what_the_real_one_lacks(raw):
    sides = [raw_rows(path) for path in files(raw, "medmcqa_labeled")["medmcqa"]]
    rows = sum(sides, [])
    assert [len(side) / len(rows) for side in sides] == pytest.approx([0.9465, 0.0217, 0.0318], abs=0.001)
    assert [{row["cop"] for row in side} for side in sides] == [{0, 1, 2, 3}, {0, 1, 2, 3}, {-1}]
    assert share(row["exp"] is None for row in rows) == pytest.approx(0.47, abs=0.03)
    assert share(row["topic_name"] is None for row in rows) == pytest.approx(0.9, abs=0.03)
    assert share("\n" in (row["exp"] or "") for row in rows) == pytest.approx(0.15, abs=0.03)
    assert len({row["subject_name"] for row in rows}) == 21


def test_a_few_values_are_german_and_a_tenth_are_plain(raw, tmp_path):
    values = [row["text"] for row in raw_rows(raw / "biomed_en_de/0000.parquet")]
    assert share(not value.startswith('{"en": ') for value in values) == pytest.approx(0.1, abs=0.03)
    sources = files(raw, "biomed_mlm_2").items()
    report = clean("x", [(name, paths, {}) for name, paths in sources], tmp_path / "out.jsonl").as_dict()
    assert 0 < report["dropped"]["not English"] < 0.02 * len(values)


def test_two_writings_are_equal(raw, tmp_path):
    standin.write(tmp_path, texts(), SCALE)
    assert sha256(tmp_path) == sha256(raw)


@pytest.mark.parametrize("corpus", standin.SOURCES)
def test_both_ways_keep_the_same_texts(raw, tmp_path, corpus):
    """But for cp949 and German, which the usual way leaves as they are."""
    kept = []
    for way in (bench.ours, bench.usual):
        way(corpus, files(raw, corpus), tmp_path / f"{way.__name__}.jsonl")
        kept.append([row["text"] for row in read_lines(tmp_path / f"{way.__name__}.jsonl")])
    mine, usual = ({text for text in texts if text.isascii() and "??" not in text} for texts in kept)
    assert len(kept[1]) == len(set(kept[1])) and len(kept[0]) == pytest.approx(len(kept[1]), rel=0.08)
    assert len(mine & usual) > 0.97 * max(len(mine), len(usual))


def test_the_lines_say_what_was_measured(tmp_path, monkeypatch):
    for domain, found in texts().items():
        for corpus in standin.EMBEDDED[domain]:
            write_lines(tmp_path / f"data/processed/{corpus}.jsonl", ({"text": text} for text in found))
    monkeypatch.chdir(tmp_path)
    *parts, whole = bench.measure(0.002, 1)
    assert [line["name"] for line in parts] == [f"clean/{corpus}" for corpus in standin.SOURCES]
    assert whole["rows"] == sum(line["rows"] for line in parts) == pytest.approx(0.002 * 238_820, rel=0.1)
    assert whole["ours"] == pytest.approx(sum(line["ours"] for line in parts), abs=0.01)
    assert whole["ratio"] == pytest.approx(whole["peer"] / whole["ours"], rel=0.05)
    assert min(whole["peak_mb"], whole["peer_peak_mb"]) > 10


def test_a_users_mistake_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="biomed_mlm.jsonl does not exist.*run `dvc repro` first"):
        bench.run(0.01, 1, True)
    for scale, rounds in ((0, 1), (1, 0)):
        with pytest.raises(UserError, match="--scale .* --rounds"):
            bench.run(scale, rounds, True)
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install -r requirements-bench.txt"):
        bench.run(0.01, 1, True)
