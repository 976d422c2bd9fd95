"""What the tests of the cleaners share."""

import codecs
import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
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
ONTOLOGY = (
    """format-version: 1.2

[Term]
id: HP:0000118
name: Phenotypic abnormality

[Term]
id: HP:1
name: Abnormality of the eye
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:2
name: Abnormality of the ear
is_a: HP:0000118 ! Phenotypic abnormality
"""
    + "".join(
        f"""
[Term]
id: HP:1{number}
name: {name}
def: "{definition}" [ref]
is_a: HP:1 ! Abnormality of the eye
"""
        for number, (name, definition) in enumerate(
            [
                ("Cataract", r"A clouding of the lens, named \"grey star\", which scatters light."),
                ("Coloboma", "A gap in one of the structures that form the wall of the globe."),
                ("Glaucoma", "Damage of the optic nerve in which the glaucoma is seen by raised pressure."),
                ("Nystagmus", "Rhythmic oscillations that go back and forth without being willed."),
            ]
        )
    )
    + """
[Term]
id: HP:20
name: Shared
def: "A finding that lies under two of the branches, with no siblings at all." []
is_a: HP:1 ! Abnormality of the eye
is_a: HP:2 ! Abnormality of the ear

[Term]
id: HP:21
name: Old
def: "A term that was given up, with a definition that nobody reads." []
is_obsolete: true

[Typedef]
id: part_of
"""
)


def written(path: Path, found: list[dict]) -> Path:
    """Rows in the format and the packing that the name tells."""
    name, buffer = path.name.removesuffix(".gz").removesuffix(".zst"), io.BytesIO()
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(found), buffer)
    elif name.endswith(("csv", "tsv")):
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, found[0].keys(), dialect="excel" if name.endswith("csv") else "excel-tab")
        writer.writeheader()
        writer.writerows(found)
        buffer.write(text.getvalue().encode())
    elif name.endswith(".json"):
        buffer.write(json.dumps(found, indent=2).encode())
    else:
        buffer.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found).encode())
    data = buffer.getvalue()
    packed = {".gz": gzip.compress, ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True)}
    path.write_bytes(packed.get(path.suffix, bytes)(data))
    return path


def _pair_lost(error: UnicodeDecodeError) -> tuple[str, int]:
    """What Windows makes of a pair that cp949 lacks: one question mark; a lone 80 is a control character."""
    alone = error.object[error.start] == 0x80
    return ("\x80", error.start + 1) if alone else ("?", min(error.start + 2, len(error.object)))


codecs.register_error("as Windows does", _pair_lost)


def damaged(text: str) -> str:
    return text.encode().decode("cp949", "as Windows does")
