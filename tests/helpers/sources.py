"""What the tests of the cleaners share."""

import json
from pathlib import Path

import pytest

from dapt.core.files import read_lines
from dapt.core.rows import text_id
from dapt.corpus.cleaning import clean

DATA = Path(__file__).parents[3] / "shared/data"
LONG = "a sentence that is a good deal longer than fifty characters, number "
GERMAN = "Die Patienten wurden nach der Operation vier Wochen lang von den Ärzten untersucht."


def real(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"the real file {name} is not here (../shared/data)")
    return DATA / name


def cleaned(folder: Path, name: str, *files: Path, **options) -> tuple[dict, list[dict]]:
    """Report and rows. Whatever is cleaned, they must agree."""
    report = clean("x", [(name, list(files), options)], folder / "out.jsonl").as_dict()
    found = list(read_lines(folder / "out.jsonl"))
    assert report["rows_in"] == report["kept"] + sum(report["dropped"].values())
    assert report["kept"] == len(found) == len({row["id"] for row in found})
    assert all(row["id"] == text_id(row["text"]) and row["group"] for row in found)
    return report, found


def lines(path: Path, values: list) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def medmcqa(number: int, **values) -> dict:
    return {
        "question": f"{LONG}{number}?",
        "opa": "A",
        "opb": "B",
        "opc": "C",
        "opd": "D",
        "cop": 1,
        "exp": None,
        "subject_name": "Anatomy",
        "topic_name": None,
        "id": str(number),
        "choice_type": "single",
    } | values


def squad(*contexts) -> dict:
    return {"data": [{"title": "BioASQ6b", "paragraphs": [{"context": context, "qas": []} for context in contexts]}]}


TABLES = {  # cleaner → a good row, a file name
    "biomed_en_de": ({"text": {"en": LONG, "de": GERMAN}}, "x"),
    "finance_news": ({"newssource": "s", "newscontents": LONG, "label": 1}, "x"),
    "financial_phrasebank": ({"sentence": LONG, "label": 2}, "x"),
    "fiqa": ({"instruction": "Give your opinion.", "input": LONG, "output": "It depends on that."}, "train"),
    "medmcqa": (medmcqa(1), "train"),
    "text": ({"text": LONG}, "x"),
    "wikitext": ({"text": LONG}, "x"),
}
