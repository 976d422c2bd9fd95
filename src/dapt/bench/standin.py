"""Synthetic versions of the six corpora of the full profile: raw files of the same size, in the sources' schemas.

The files on the hub are not available everywhere, so the text is that of the sample profile's corpora, repeated and varied. It
contains everything that makes cleaning hard, in the proportions measured in the sources: UTF-8 that was decoded as cp949, URLs,
tags, entities, unusual spaces, line breaks, nulls, German, duplicates and short rows. All random choices are seeded, so the
files of a scale are always identical.
"""

import codecs
import json
from itertools import chain, islice, pairwise
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from dapt.core.files import read_lines, write_json
from dapt.telling.errors import UserError

SOURCES = {  # corpus → cleaner → its raw files, as in the profile full
    "biomed_mlm": {"bioasq": ["BioASQ-train-factoid-6b-full-annotated.json"]},
    "biomed_mlm_2": {"biomed_en_de": ["0000.parquet"]},
    "finance_mlm1": {"finance_news": ["0000.parquet"], "financial_phrasebank": ["financial_phrasebank-train.parquet"]},
    "finance_mlm2": {"finance_news": ["0000.parquet"]},
    "fiqa_labeled": {"fiqa": ["train.json", "test.json"]},
    "medmcqa_labeled": {"medmcqa": [f"{side}-00000-of-00001.parquet" for side in ("train", "validation", "test")]},
}
EMBEDDED = {"biomed": ("biomed_mlm", "biomed_mlm_2"), "finance": ("finance_mlm1", "finance_mlm2", "general")}
WORD = 6.2  # characters of a word with its space
GERMAN = (
    "Die Patienten wurden nach der Operation vier Wochen lang von den Ärzten untersucht und die Ergebnisse der "
    "Behandlung mit einer Gruppe von gesunden Personen verglichen, bei denen keine Störung bekannt war."
).split()
SUBJECTS = (
    "Anaesthesia",
    "Anatomy",
    "Biochemistry",
    "Dental",
    "ENT",
    "Forensic Medicine",
    "Gynaecology & Obstetrics",
    "Medicine",
    "Microbiology",
    "Ophthalmology",
    "Orthopaedics",
    "Pathology",
    "Pediatrics",
    "Pharmacology",
    "Physiology",
    "Psychiatry",
    "Radiology",
    "Skin",
    "Social & Preventive Medicine",
    "Surgery",
    "Unknown",
)
OPINION = "Offer your thoughts or opinion on the user's financial question."
# The share of texts with a quirk, and its forms. A quarter of the news are PhraseBank sentences, which have none.
ABSTRACT = (
    (0.006, ("<i>in vivo</i>", "10<sup>3</sup>")),
    (0.005, ("http://www.example.org/trial?id=7",)),
    (0.029, ("5\u00a0mg", "12\u2009mm")),
    (0.015, ("\n",)),
    (0.1, ("37 °C", "α", "±", "patients’", "5–10")),
)
EXPLANATION = (
    (0.28, ("\n", "\n\n")),
    (0.11, ("\u00a0", "5\u00a0mg")),
    (0.11, ("–", "’", "ﬁbers", "°C", "“sign”", "α")),
    (0.03, ("<2", "p<0.05")),
    (0.003, ("<b>not</b>", "<li>")),
    (0.003, ("&amp;", "&lt;")),
    (0.008, ("http://www.example.org/page",)),
)
NEWS = (
    (0.375, ("http://example.com/aB3xZ", "https://t.co/x7Yq1")),
    (0.227, ("company’s", "don’t", "£100")),
    (0.291, ("–", "– and", "the banks’", "said.”", "it,”", "– the", "2016–17")),
)
ANSWER = (
    (0.05, ("https://www.example.com/a/b",)),
    (0.1, ("\n", "\n\n")),
    (0.02, ("R&amp;D", "&gt;")),
    (0.1, ("it’s", "–")),
)


def embedded(processed: Path) -> dict[str, list[str]]:
    """The cleaned texts of each domain, of the sample profile or any other."""
    files = {domain: [processed / f"{corpus}.jsonl" for corpus in corpora] for domain, corpora in EMBEDDED.items()}
    for path in chain.from_iterable(files.values()):
        if not path.exists():
            raise UserError(f"{path} does not exist, but this benchmark needs it; run `dvc repro` first")
    return {domain: [row["text"] for path in paths for row in read_lines(path)] for domain, paths in files.items()}


def write(folder: Path, texts: dict[str, list[str]], scale: float = 1.0) -> None:
    """Write each source of SOURCES to folder/CLEANER/FILE; `scale` is the share of the real number of rows."""
    pools = {
        domain: [word for text in found for word in text.split() if word.isascii() and "@" not in word]
        for domain, found in texts.items()
    }
    biomed, finance = pools["biomed"], pools["finance"]
    phrases = _phrasebank(finance, scale)
    *public, hidden = _sides(_medmcqa(biomed, scale), 182_822 / 193_155, 187_005 / 193_155)
    made: dict[str, list] = {
        "bioasq": [_bioasq(biomed, scale)],
        "biomed_en_de": [_en_de(biomed, scale)],
        "finance_news": [_news(finance, scale, [row["sentence"] for row in phrases])],
        "financial_phrasebank": [phrases],
        "fiqa": _sides(_fiqa(finance, scale), 5_470 / 6_500),
        "medmcqa": [*public, [row | {"cop": -1} for row in hidden]],
    }
    for sources in SOURCES.values():
        for cleaner, names in sources.items():
            (folder / cleaner).mkdir(parents=True, exist_ok=True)
            for name, value in zip(names, made[cleaner], strict=True):
                if name.endswith(".parquet"):
                    pq.write_table(pa.Table.from_pylist(value), folder / cleaner / name)
                else:
                    write_json(folder / cleaner / name, value)


def _text(pool: list[str], length: float, chance: Random, quirks: tuple = ()) -> str:
    """About `length` characters: a stretch of the pool with one word in four from elsewhere, so that two texts are similar only
    by chance; each quirk occurs with its share."""
    count = max(1, round(length / WORD))
    start = chance.randrange(max(1, len(pool) - count))
    words = pool[start : start + count]
    words[::4] = chance.choices(pool, k=len(words[::4]))
    for share, forms in quirks:
        if chance.random() < share:
            words.insert(chance.randint(1, len(words)), chance.choice(forms))
    return " ".join(words)


def _length(mean: float, least: float, chance: Random) -> float:
    """A realistic length: many near the mean, a few several times as long."""
    return least + chance.gammavariate(1.5, (mean - least) / 1.5)


def _repeated(rows: list, count: int, chance: Random) -> list:
    """`count` rows in random order: each of `rows`, and some of them repeated."""
    rows = rows + chance.choices(rows, k=count - len(rows))
    chance.shuffle(rows)
    return rows


def _sides(rows: list, *ends: float) -> list[list]:
    """The rows, cut at the cumulative shares `ends`."""
    places = [0, *(round(end * len(rows)) for end in ends), len(rows)]
    return [rows[start:end] for start, end in pairwise(places)]


def _bioasq(pool: list[str], scale: float) -> dict:
    chance = Random("bioasq")
    texts = [_text(pool, _length(1530, 300, chance), chance, ABSTRACT) for _ in range(round(2_511 * scale))]
    texts = _repeated(texts, round(3_200 * scale), chance)
    paragraphs = [
        {
            "context": text,
            "qas": [
                {
                    "id": str(number),
                    "question": _text(pool, 80, chance),
                    "answers": [{"text": text[:20], "answer_start": 0}],
                }
            ],
        }
        for number, text in enumerate(texts)
    ]
    return {"version": "BioASQ6b", "data": [{"title": "BioASQ6b", "paragraphs": paragraphs}]}


def _en_de(pool: list[str], scale: float) -> list[dict]:
    """A pair as a JSON string, or plain text in one row out of ten: a Parquet column has one type, so values are strings."""
    chance, rows = Random("en_de"), []
    for number in range(round(11_165 * scale)):
        length = _length(1_280, 200, chance)
        english = _text(GERMAN if number % 500 == 7 else pool, length, chance, ABSTRACT)
        pair = {"en": english, "de": " ".join(chance.choices(GERMAN, k=round(length / WORD)))}
        rows.append({"text": english if number % 10 == 7 else json.dumps(pair, ensure_ascii=False)})
    return _repeated(rows, round(11_200 * scale), chance)


def _phrasebank(pool: list[str], scale: float) -> list[dict]:
    chance = Random("phrasebank")
    rows = [
        {"sentence": _text(pool, _length(130, 45, chance), chance), "label": label}
        for label in chance.choices((0, 1, 2), (604, 2_879, 1_363), k=round(4_812 * scale))
    ]
    rows += [{"sentence": _text(pool, 12, chance)[:30], "label": 1} for _ in range(round(26 * scale))]
    return _repeated(rows, round(4_846 * scale), chance)


def _news(pool: list[str], scale: float, phrases: list[str]) -> list[dict]:
    chance = Random("news")
    known = islice(dict.fromkeys(phrase for phrase in phrases if len(phrase) > 30), round(4_701 * scale))
    texts = [
        *known,
        *(_text(pool, _length(175, 50, chance), chance, NEWS) for _ in range(round(15_211 * scale))),
        *(_text(pool, 20, chance)[:30] for _ in range(round(500 * scale))),
    ]
    return [
        {"newssource": "example", "newscontents": _read_as_cp949(text), "label": chance.randrange(3)}
        for text in _repeated(texts, round(27_100 * scale), chance)
    ]


def _read_as_cp949(text: str) -> str:
    return text.encode().decode("cp949", "as Windows reads")


def _lost_pair(error: UnicodeError) -> tuple[str, int]:
    """A pair of bytes that cp949 lacks becomes a question mark; a single 0x80 becomes a control character."""
    assert isinstance(error, UnicodeDecodeError)
    alone = error.object[error.start] == 0x80
    return ("\x80", error.start + 1) if alone else ("?", min(error.start + 2, len(error.object)))


codecs.register_error("as Windows reads", _lost_pair)


def _fiqa(pool: list[str], scale: float) -> list[dict]:
    chance = Random("fiqa")
    rows = [
        {
            "instruction": OPINION,
            "input": _text(pool, _length(88, 30, chance), chance)[:-1] + "?",
            "output": _text(pool, _length(1_150, 120, chance), chance, ANSWER),
        }
        for _ in range(round(6_486 * scale))
    ]
    return _repeated(rows, round(6_500 * scale), chance)


def _medmcqa(pool: list[str], scale: float) -> list[dict]:
    chance, rows = Random("medmcqa"), []
    for number in range(round(189_500 * scale)):
        short = number % 18 == 0
        silent = short or chance.random() < 0.44
        rows.append(
            {
                "id": f"{chance.getrandbits(128):032x}",
                "choice_type": chance.choice(("single", "single", "multi")),
                "question": _text(pool, 25, chance)[:45] if short else _text(pool, _length(95, 62, chance), chance),
                **{option: _text(pool, _length(20, 6, chance), chance) for option in ("opa", "opb", "opc", "opd")},
                "cop": chance.randrange(4),
                "subject_name": chance.choice(SUBJECTS),
                "topic_name": None if chance.random() < 0.9 else _text(pool, 15, chance),
                "exp": None
                if silent
                else chance.choice(("", "Ans-a. ")) + _text(pool, _length(765, 40, chance), chance, EXPLANATION),
            }
        )
    return _repeated(rows, round(193_155 * scale), chance)
