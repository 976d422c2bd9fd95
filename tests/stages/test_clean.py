"""`dapt clean`: of a corpus of the pipeline, and of any one raw file."""

import json

import pytest

from dapt.core.files import read_lines, sha256
from dapt.stages import clean
from repositories import committed_files, replaced, run
from sources import ONTOLOGY


@pytest.fixture()
def folder(tmp_path, monkeypatch):
    """A repository with the raw file of one corpus, an ontology."""
    committed_files(tmp_path, "params.yaml", "profiles")
    (tmp_path / "data/raw/biomed_mlm/hpo").mkdir(parents=True)
    (tmp_path / "data/raw/biomed_mlm/hpo/hp.obo").write_text(ONTOLOGY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_corpus_becomes_rows_and_a_report_that_says_what_it_was_made_from(folder):
    clean.run("biomed_mlm")
    report = json.loads((folder / "metrics/clean/biomed_mlm.json").read_text())
    rows = list(read_lines(folder / "data/processed/biomed_mlm.jsonl"))
    assert report["kept"] == len(rows) == 5 and {row["corpus"] for row in rows} == {"biomed_mlm"}
    assert report["rows_in"] == report["kept"] + sum(report["dropped"].values())
    assert report["made_from"] == [{"path": "data/raw/biomed_mlm", "sha256": sha256(folder / "data/raw/biomed_mlm")}]


def test_a_corpus_that_is_not_enabled_is_empty(folder):
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(replaced(params, "biomed_mlm: {enabled: true", "biomed_mlm: {enabled: false"))
    clean.run("biomed_mlm")
    assert (folder / "data/processed/biomed_mlm.jsonl").read_text() == ""
    assert json.loads((folder / "metrics/clean/biomed_mlm.json").read_text())["rows_in"] == 0


def test_one_command_on_any_file(tmp_path):
    (tmp_path / "hp.obo").write_text(ONTOLOGY)
    clean.run_file("hpo", tmp_path / "hp.obo", tmp_path / "o.jsonl", tmp_path / "o.json", {})
    report = json.loads((tmp_path / "o.json").read_text())
    assert report["rows_in"] == report["kept"] + sum(report["dropped"].values())
    assert report["kept"] == len(list(read_lines(tmp_path / "o.jsonl")))


def test_options_of_the_cleaner_by_command_are_typed_and_refused_as_those_of_a_profile(tmp_path):
    (tmp_path / "x.csv").write_text("body\nOil rises\n")
    command = ["dapt", "clean", "--cleaner", "text", "--raw", "x.csv", "--out", "o.jsonl", "--report", "o.json"]
    run(tmp_path, *command, "--option", "column=body", "--option", "least=1")
    assert [row["text"] for row in read_lines(tmp_path / "o.jsonl")] == ["Oil rises"]
    for option, says in (
        ("lesat=1", "--option: the cleaner text has no option 'lesat'; its options are: least, column,"),
        ("least=many", "--option.least: must be int, not 'many'"),
        ("least", "--option least is not of the form NAME=VALUE"),
    ):
        assert says in run(tmp_path, *command, "--option", option, code=2)
