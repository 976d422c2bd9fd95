"""Rows as a data set that Hugging Face's own library reads."""

import sys

import datasets
import pytest

from dapt.cli import main
from dapt.core.files import write_lines
from repositories import committed_files

ROWS = [
    {"id": "1", "group": "a", "text": "fever and chills", "corpus": "general"},
    {"id": "2", "group": "b", "text": "which drug?", "corpus": "general", "label": "x", "options": ["a", "b"], "answer": 1},
]  # fmt: skip


@pytest.fixture()
def export(tmp_path, monkeypatch, capsys):
    committed_files(tmp_path, "params.yaml", "profiles", "dvc.yaml")
    monkeypatch.chdir(tmp_path)

    def call(*words: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["dapt", "export-data", *words])
        returned, said = main(), "".join(capsys.readouterr())
        assert returned == code, said
        return said

    return call


def test_a_task_has_its_sides_and_each_row_all_fields(export, tmp_path):
    folder = tmp_path / "data/split/tasks/multiple_choice"
    folder.mkdir(parents=True)
    for side, rows in (("train", ROWS), ("valid", ROWS[:1]), ("test", ROWS[1:])):
        write_lines(folder / f"{side}.jsonl", rows)
    said = export("multiple_choice", "out")
    assert "train 2, validation 1, test 1 rows" in said
    found = datasets.load_from_disk(tmp_path / "out")
    assert {side: len(rows) for side, rows in found.items()} == {"train": 2, "validation": 1, "test": 1}
    assert found["train"].to_list() == [ROWS[0] | {"label": None, "options": None, "answer": None}, ROWS[1]]
    assert found["train"].info.license == "HPO licence, 2025-01-16"
    assert "out already exists" in export("multiple_choice", "out", code=2)


def test_a_domain_s_held_out_text_is_the_test_split_and_a_corpus_has_one(export, tmp_path):
    (tmp_path / "data/split/general").mkdir(parents=True)
    for side in ("train", "valid", "heldout"):
        write_lines(tmp_path / f"data/split/general/{side}.jsonl", ROWS[:1])
    (tmp_path / "data/processed").mkdir()
    write_lines(tmp_path / "data/processed/general.jsonl", ROWS)
    assert "general is a domain and a corpus; choose one with --kind, for example --kind domain" in export(
        "general", "out", code=2
    )
    export("general", "domain", "--kind", "domain")
    assert set(datasets.load_from_disk(tmp_path / "domain")) == {"train", "validation", "test"}
    export("general", "corpus", "--kind", "corpus")
    assert datasets.load_from_disk(tmp_path / "corpus")["train"]["text"] == [row["text"] for row in ROWS]


def test_what_is_not_there_is_said_in_a_line(export):
    assert "there is no corpus, domain or task 'law'; choose one of: answer_ranking" in export("law", "out", code=2)
    assert "data/split/biomed does not exist; create it with dvc repro" in export("biomed", "out", code=2)
    assert "there is no task 'biomed'; did you mean biomed_topic?" in export("biomed", "out", "--kind", "task", code=2)
