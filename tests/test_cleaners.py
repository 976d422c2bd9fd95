"""The full profile's cleaners, on the real files of ../shared/data where they are, and on files in each layout.

DAPT_FUZZ sets how many mutated files the fuzz test cleans (300 without it).
"""

import doctest
import gzip
import json
import os
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dapt.clean import clean
from dapt.cleaners import biomed_en_de, cleaner, wikitext
from dapt.errors import UserError
from dapt.files import read_lines
from dapt.records import text_id
from test_mojibake import damaged
from test_tables import written

DATA = Path(__file__).parents[2] / "shared/data"
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


@pytest.mark.parametrize("module", [biomed_en_de, wikitext])
def test_the_examples_in_the_modules(module):
    assert doctest.testmod(module).failed == 0


# Financial PhraseBank

def test_phrasebank_as_it_was_published(tmp_path):
    """4,846 lines; 4,812 different ones of more than 30 characters by the seed's rule, counted here by other means."""
    path = real("phrasebank/Sentences_50Agree.txt")
    report, found = cleaned(tmp_path, "financial_phrasebank", path)
    assert report["rows_in"] == 4846 and report["seed_rule"]["kept"] == 4812
    original = [line.rsplit("@", 1) for line in path.read_text("latin-1").split("\n") if line]
    labels = {}
    for sentence, label in original:
        labels.setdefault(text_id(sentence), label)
    untouched = [row for row in found if row["id"] in labels]
    assert len(untouched) > 4780 and all(row["label"] == labels[row["id"]] for row in untouched)
    assert Counter(label for _, label in original) == {"neutral": 2879, "positive": 1363, "negative": 604}


def test_phrasebank_has_a_stray_line(tmp_path):
    report, _ = cleaned(tmp_path, "financial_phrasebank", real("phrasebank/Sentences_AllAgree.txt"))
    assert report["rows_in"] == 2264 and report["dropped"]["no label"] == 1


def test_phrasebank_in_all_its_forms(tmp_path):
    sentences = [(f"{LONG}1 @ Nokia", 2), (f"{LONG}2 in Jyväskylä", 0), (f"{LONG}3", 1), (f"{LONG}1 @ Nokia", 0)]
    names = ["negative", "neutral", "positive"]
    text = "".join(f"{sentence}@{names[label]}\r\n" for sentence, label in sentences) + "1\r\n"
    (tmp_path / "latin.txt").write_bytes(text.encode("latin-1"))
    (tmp_path / "utf.txt").write_bytes(text.encode("utf-8-sig"))
    rows = [{"sentence": sentence, "label": label} for sentence, label in sentences] + [{"sentence": "1", "label": 7}]
    forms = [tmp_path / "latin.txt", tmp_path / "utf.txt", written(tmp_path / "x.parquet", rows),
             written(tmp_path / "x.csv", rows)]
    for path in forms:
        report, found = cleaned(tmp_path, "financial_phrasebank", path)
        assert [(row["text"], row["label"]) for row in found] == [(text, names[label]) for text, label in sentences[:3]]
        assert report["rows_in"] == 5
        assert report["dropped"] == {"duplicate": 1, "no label": 1} and report["seed_rule"]["kept"] == 3


# MedMCQA

def test_medmcqa_as_it_was_published(tmp_path):
    path = real("medmcqa/dev.json")
    report, found = cleaned(tmp_path, "medmcqa", path)
    raw = [json.loads(line) for line in path.read_text().splitlines()]
    assert report["rows_in"] == len(raw) == 4183
    texts = {" ".join(f"{row['question']} {row['exp'] or ''}".split()) for row in raw}
    assert report["seed_rule"]["kept"] == sum(len(text) >= 50 for text in texts)
    right = {row["question"]: row[("opa", "opb", "opc", "opd")[row["cop"] - 1]] for row in raw}
    same = [row for row in found if right.get(row["question"]) in row["options"]]
    assert len(same) > 3000 and all(row["options"][row["answer"]] == right[row["question"]] for row in same)
    assert {row["split"] for row in found} == {"test"}
    assert {row["label"] for row in found} <= {row["subject_name"] for row in raw}


def medmcqa(number: int, **values) -> dict:
    return {"question": f"{LONG}{number}?", "opa": "A", "opb": "B", "opc": "C", "opd": "D", "cop": 1, "exp": None,
            "subject_name": "Anatomy", "topic_name": None, "id": str(number), "choice_type": "single"} | values


@pytest.mark.parametrize("name, numbers, answers", [
    ("train.json", [1, 2, 4], [0, 1, 3]), ("train.parquet", [0, 1, 3], [0, 1, 3]), ("train.parquet", [1, 2], [1, 2]),
    ("train.json", [0, 1, 2], [0, 1, 2]), ("train.json", [2, 3], [1, 2]), ("train.parquet", [4, 1], [3, 0]),
    ("train.json", [4, 0, 5, None, -1, "2"], [3, None, None, None, None, None])])
def test_medmcqa_options_are_numbered_by_the_file(tmp_path, name, numbers, answers):
    raw = [medmcqa(place, cop=number) for place, number in enumerate(numbers)]
    path = written(tmp_path / name, raw) if name.endswith("parquet") else lines(tmp_path / name, raw)
    assert [row.get("answer") for row in cleaned(tmp_path, "medmcqa", path)[1]] == answers


def test_medmcqa_sides_and_fields(tmp_path):
    test = [{key: value for key, value in medmcqa(3).items() if key not in ("cop", "exp")}]
    first = medmcqa(1, cop=4, exp="Since <b>it</b> is.", topic_name="Heart")
    files = [lines(tmp_path / "train.json", [first, medmcqa(2)]),
             lines(tmp_path / "dev.json", [medmcqa(2, cop=4, subject_name=None, opd=None)]),
             lines(tmp_path / "test.json", test)]
    report, found = cleaned(tmp_path, "medmcqa", *files)
    assert report["rows_in"] == 4 and report["dropped"] == {"duplicate": 1}
    by_question = {row["question"][-2]: row for row in found}
    first, second, third = (by_question[number] for number in "123")
    assert first["text"] == f"{LONG}1? Since it is." and first["explanation"] == "Since it is."
    assert (first["split"], first["answer"], first["topic"], first["subject"]) == ("train", 3, "Heart", "Anatomy")
    assert second["split"] == "test" and second["label"] == "Medical"  # the validation row stays
    assert not {"options", "answer", "subject"} & second.keys()
    assert third["options"] == ["A", "B", "C", "D"] and not {"split", "answer"} & third.keys()


def test_medmcqa_in_the_hubs_test_file_has_no_answers(tmp_path):
    path = written(tmp_path / "test-00000-of-00001.parquet", [medmcqa(1, cop=-1), medmcqa(2, cop=0)])
    found = cleaned(tmp_path, "medmcqa", path)[1]
    assert len(found) == 2 and not any({"split", "answer"} & row.keys() for row in found)


def test_medmcqa_without_answers_where_they_belong_is_refused(tmp_path):
    renamed = [{("right" if key == "cop" else key): value for key, value in medmcqa(1).items()}]
    with pytest.raises(UserError, match="train.json has no column cop"):
        cleaned(tmp_path, "medmcqa", lines(tmp_path / "train.json", renamed))


# FiQA

def test_fiqa(tmp_path):
    raw = [{"instruction": "Give your opinion.", "input": "Should I buy a house?", "output": "It depends. " * 20},
           {"instruction": "What is a bond, and should I buy one?", "input": "", "output": "A loan to a firm."},
           {"instruction": "Give your opinion.", "input": "Is that so, in the end?", "output": "Yes."},
           {"instruction": "Give your opinion.", "input": None, "output": "A null is nothing to ask about."},
           {"instruction": "Give your opinion.", "input": 5, "output": "A number is not a question."}]
    for name in ("train.json", "train.jsonl", "train.parquet"):
        usable = raw[:4] if name.endswith("parquet") else raw
        report, found = cleaned(tmp_path, "fiqa", written(tmp_path / name, usable))
        assert [row["text"] for row in found] == ["Give your opinion. Should I buy a house?", raw[1]["instruction"]]
        assert found[0]["question"] == "Should I buy a house?" and found[0]["answer"] == ("It depends. " * 20).strip()
        assert found[0]["label"] == ("It depends. " * 20)[:100].strip()
        assert found[1]["question"] == raw[1]["instruction"]
        assert {row["split"] for row in found} == {"train"} and report["seed_rule"]["kept"] == 2
        assert report["dropped"]["short answer"] == 1 and report["dropped"].get("not text", 0) == len(usable) - 4
    test = written(tmp_path / "test.json", raw[:1])
    found = cleaned(tmp_path, "fiqa", tmp_path / "train.json", test)[1]
    assert [row["split"] for row in found] == ["test", "train"]


# Financial news

def test_news_has_its_broken_quotes_mended_or_goes(tmp_path):
    good = [f"{LONG}{number}" for number in range(3)]
    raw = [good[0], f"India’s {good[1]}", f"a profit of €100, {good[2]}", good[0].upper(), "short"]
    rows = [{"newssource": "s", "newscontents": damaged(text), "label": 1} for text in raw]
    for name in ("x.csv", "x.parquet", "x.csv.gz"):
        report, found = cleaned(tmp_path, "finance_news", written(tmp_path / name, rows))
        assert [row["text"] for row in found] == [good[0].strip(), raw[1]]
        assert report["dropped"] == {"duplicate": 1, "mojibake": 1, "too short": 1}
        assert report["repaired"] == {"cp949": 1}
        assert report["seed_rule"]["kept"] == 4 and "label" not in found[0]


# Biomedical English and German

def test_the_english_side(tmp_path):
    pairs = [{"en": f"{LONG}{number}", "de": GERMAN} for number in range(3)]
    values = [pairs[0], json.dumps(pairs[1]), f"{LONG}plain", GERMAN, {"en": GERMAN, "de": ""}, {"de": GERMAN}, 7, None,
              '{"en": null}', "{" + LONG]
    report, found = cleaned(tmp_path, "biomed_en_de", lines(tmp_path / "x.json", [{"text": value} for value in values]))
    assert [row["text"] for row in found] == [f"{LONG}0", f"{LONG}1", f"{LONG}plain", "{" + LONG.strip()]
    assert report["dropped"] == {"not English": 2, "not text": 4} and report["seed_rule"]["kept"] == 5  # GERMAN once
    texts = [{"text": json.dumps(pair)} for pair in pairs]
    structs = [{"text": pair} for pair in pairs]
    for name, rows in (("x.csv", texts), ("x.parquet", texts), ("y.parquet", structs), ("y.json", structs)):
        assert len(cleaned(tmp_path, "biomed_en_de", written(tmp_path / name, rows))[1]) == 3


def test_german_is_told_from_clinical_english(tmp_path):
    """Of whole sentences at most one German one in a hundred stays, and no English one goes."""
    pairs = json.loads(real("en_de/biomqm_en2de_reference.json").read_text())
    english, german = ([{"text": pair[side]} for pair in pairs if len(pair[side]) >= 60]
                       for side in ("source", "target"))
    report, _ = cleaned(tmp_path, "biomed_en_de", lines(tmp_path / "en.jsonl", english))
    assert len(english) > 450 and "not English" not in report["dropped"]
    report, found = cleaned(tmp_path, "biomed_en_de", lines(tmp_path / "de.jsonl", german))
    assert report["dropped"]["not English"] >= 0.99 * len(german)
    assert all("Automatic Alignment of Cranial CT" in row["text"] for row in found)  # an English title


def test_abstracts_of_pubmed_are_english(tmp_path):
    found = json.loads(real("pubmedqa/ori_pqal.json").read_text()).values()
    texts = [{"text": text} for paper in found for text in paper["CONTEXTS"]]
    report, _ = cleaned(tmp_path, "biomed_en_de", lines(tmp_path / "x.jsonl", texts))
    assert report["rows_in"] == len(texts) == 3358 and "not English" not in report["dropped"]


# BioASQ

def squad(*contexts) -> dict:
    return {"data": [{"title": "BioASQ6b", "paragraphs": [{"context": context, "qas": []} for context in contexts]}]}


def test_bioasq_in_the_layout_that_the_seed_had(tmp_path):
    lines(tmp_path / "x.json", [squad(f"{LONG}1", f"{LONG}1\n", f"{LONG}2", 5, "short") | {"version": "x"}])
    report, found = cleaned(tmp_path, "bioasq", tmp_path / "x.json")
    assert [row["text"] for row in found] == [f"{LONG}1", f"{LONG}2"] and len({row["group"] for row in found}) == 2
    assert report["dropped"] == {"duplicate": 1, "not text": 1, "too short": 1} and report["seed_rule"]["kept"] == 2


def test_bioasq_in_the_challenges_layout(tmp_path):
    snippets = [{"text": f"{LONG}{number}", "document": f"http://pubmed/{number // 2}"} for number in range(3)]
    questions = [{"id": "q1", "body": "?", "type": "yesno", "snippets": snippets[:2],
                  "ideal_answer": [f"{LONG}yes", f"{LONG}no"]},
                 {"id": "q2", "_body": "?", "snippets": snippets[2:], "ideal_answer": f"{LONG}plain"}]
    path = lines(tmp_path / "x.json", [{"questions": questions}])
    report, found = cleaned(tmp_path, "bioasq", path)
    assert report["rows_in"] == 3 and report["seed_rule"]["kept"] == 0
    assert [row["group"] for row in found] == [f"bioasq:http://pubmed/{number}" for number in (0, 0, 1)]
    report, found = cleaned(tmp_path, "bioasq", path, answers=True)
    assert report["rows_in"] == 6
    assert {row["text"]: row["group"] for row in found if "pubmed" not in row["group"]} == {
        f"{LONG}yes": "bioasq:q1", f"{LONG}no": "bioasq:q1", f"{LONG}plain": "bioasq:q2"}


@pytest.mark.parametrize("value, dropped", [
    ({"data": [None, 7, {"paragraphs": 3}, {"paragraphs": [[], {"context": None}]}]}, 5),
    ({"data": "x"}, 1), ({"questions": [None, {"snippets": [None, {"text": 5}]}, {"snippets": {"text": "x"}}]}, 4)])
def test_bioasq_nonsense_is_counted(tmp_path, value, dropped):
    good = lines(tmp_path / "good.json", [squad(f"{LONG}1")])
    report, _ = cleaned(tmp_path, "bioasq", good, lines(tmp_path / "x.json", [value]))
    assert report["dropped"] == {"not text": dropped}


@pytest.mark.parametrize("value", [[], {}, 5, "data", {"paragraphs": []}])
def test_bioasq_in_neither_layout_is_refused(tmp_path, value):
    with pytest.raises(UserError, match="x.json is in neither of BioASQ's layouts"):
        cleaned(tmp_path, "bioasq", lines(tmp_path / "x.json", [value]))


# WikiText

def test_wikitext(tmp_path):
    raw = ["", " = Valkyria Chronicles III = \n", "",
           " The game , sold as 1 @,@ 500 hand @-@ made copies , is a role playing one . \n", " = = Plot = = \n",
           " It is set in a war , and the player 's squad ( 12 men ) took \" Europa \" in 2 @.@ 5 days . \n",
           " = Tower Building of the Little Rock Arsenal = \n",
           " Also known as U.S. Arsenal Building , it is in MacArthur Park . \n"]
    report, found = cleaned(tmp_path, "wikitext", written(tmp_path / "x.parquet", [{"text": line} for line in raw]))
    assert report["rows_in"] == 8 and report["dropped"] == {"empty": 2, "heading": 3}
    assert [row["text"] for row in found] == [
        "The game, sold as 1,500 hand-made copies, is a role playing one.",
        'It is set in a war, and the player\'s squad (12 men) took " Europa " in 2.5 days.',
        "Also known as U.S. Arsenal Building, it is in MacArthur Park."]
    assert [row["group"] for row in found] == ["wikitext:Valkyria Chronicles III"] * 2 + [
        "wikitext:Tower Building of the Little Rock Arsenal"]


# Text of one's own

TEXTS = [f"{LONG}{number}" for number in range(4)]


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", ["law.txt", "law.csv", "law.tsv", "law.json", "law.jsonl", "law.parquet"])
def test_a_users_own_text_in_any_format(tmp_path, name, packing):
    path = tmp_path / (name + packing)
    if name == "law.txt":
        data = "\r\n".join(TEXTS).encode("utf-8-sig")
        path.write_bytes({".gz": lambda: gzip.compress(data),
                          ".zst": lambda: pa.compress(data, codec="zstd", asbytes=True)}.get(packing, lambda: data)())
        options = {}
    else:
        written(path, [{"id": "a", "body": text} for text in TEXTS])
        options = {"column": "body"}
    report, found = cleaned(tmp_path, "text", path, **options)
    assert [row["text"] for row in found] == TEXTS and report["rows_in"] == 4
    assert [row["group"] for row in found] == [f"text:{path.name}:{number}" for number in range(1, 5)]


def test_a_users_own_text_may_name_its_groups_and_its_documents(tmp_path):
    cases = ["a", 7, None, ""]
    path = written(tmp_path / "x.jsonl", [{"text": text, "case": case} for text, case in zip(TEXTS, cases)])
    found = cleaned(tmp_path, "text", path, group="case")[1]
    assert [row["group"] for row in found] == ["text:a", "text:7", "text:x.jsonl:3", "text:x.jsonl:4"]
    (tmp_path / "x.txt").write_text("\n".join(TEXTS))
    assert [row["text"] for row in cleaned(tmp_path, "text", tmp_path / "x.txt", whole=True)[1]] == [" ".join(TEXTS)]
    with pytest.raises(UserError, match="option whole is for .txt"):
        cleaned(tmp_path, "text", path, whole=True)
    with pytest.raises(UserError, match="no column case"):
        cleaned(tmp_path, "text", lines(tmp_path / "y.jsonl", [{"text": LONG}]), group="case")


def test_a_users_own_folder(tmp_path):
    folder = tmp_path / "own"
    (folder / "b").mkdir(parents=True)
    (folder / "b/x.txt").write_text(TEXTS[0])
    (folder / "a.txt").write_text(TEXTS[1])
    (folder / ".hidden").write_text("not a text")
    written(folder / "c.csv", [{"text": TEXTS[2]}])
    found = cleaned(tmp_path, "text", folder)[1]
    assert [(row["group"], row["text"]) for row in found] == [
        ("text:a.txt:1", TEXTS[1]), ("text:b/x.txt:1", TEXTS[0]), ("text:c.csv:1", TEXTS[2])]
    (folder / "notes.docx").write_text("x")
    with pytest.raises(UserError, match="notes.docx: the ending .docx"):
        cleaned(tmp_path, "text", folder)


def test_a_line_of_fifty_megabytes(tmp_path):
    line = LONG * (50_000_000 // len(LONG))
    lines(tmp_path / "x.jsonl", [{"text": TEXTS[0]}, {"text": line}, {"text": TEXTS[1]}])
    found = cleaned(tmp_path, "text", tmp_path / "x.jsonl")[1]
    assert [len(row["text"]) for row in found] == [len(TEXTS[0]), len(line.strip()), len(TEXTS[1])]


# The seed's rule

def of_length(length: int) -> str:
    return ("abc def " * 20)[:length - 1] + "."


@pytest.mark.parametrize("name, least, row", [
    ("biomed_en_de", 50, lambda length: {"text": {"en": of_length(length)}}),
    ("finance_news", 31, lambda length: {"newscontents": of_length(length)}),
    ("financial_phrasebank", 31, lambda length: {"sentence": of_length(length), "label": 0}),
    ("fiqa", 30, lambda length: {"instruction": "Say.", "input": of_length(length - 5), "output": "A long answer."}),
    ("medmcqa", 50, lambda length: medmcqa(1, question=of_length(length - 7), exp="As is.\n")),
    ("bioasq", 31, of_length)])
def test_texts_are_kept_from_the_length_on_that_the_seed_asks(tmp_path, name, least, row):
    """One character less, just enough, the same with other white space, and in capitals: the seed told case apart."""
    same = json.dumps(row(least))
    values = [row(least - 1), *map(json.loads, (same, same.replace("c d", "c \\n d"), same.replace("abc", "ABC")))]
    path = lines(tmp_path / "train.json", [squad(*values)] if name == "bioasq" else values)
    report, found = cleaned(tmp_path, name, path)
    assert (report["rows_in"], report["kept"], report["seed_rule"]["kept"]) == (4, 1, 2)
    assert len(found[0]["text"]) == least and report["dropped"] == {"too short": 1, "duplicate": 2}


# Any input

TABLES = {  # cleaner → a good row, a file name
    "biomed_en_de": ({"text": {"en": LONG, "de": GERMAN}}, "x"),
    "finance_news": ({"newssource": "s", "newscontents": LONG, "label": 1}, "x"),
    "financial_phrasebank": ({"sentence": LONG, "label": 2}, "x"),
    "fiqa": ({"instruction": "Give your opinion.", "input": LONG, "output": "It depends on that."}, "train"),
    "medmcqa": (medmcqa(1), "train"),
    "text": ({"text": LONG}, "x"),
    "wikitext": ({"text": LONG}, "x"),
}
JUNK = [None, True, -1, 0, 4, 1e308, float("nan"), 10**30, "", " ", "x", LONG, "\ud800", "\0\x1b\ufeff", [], [[[]]], {},
        {"en": {}}, {"en": LONG}, {"text": [1]}, '{"en": ', "한국", "??", "?쏾", " = = ", "= =", "@-@", "@neutral", "&#xD800;"]


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_any_values_are_all_accounted_for(tmp_path, name):
    """As many rows come in as were written, whatever stands in them."""
    chance = random.Random(name)
    good, stem = TABLES[name]
    for trial in range(20):
        rows = [good]
        for number in range(60):
            row = {key: chance.choice([value, *chance.sample(JUNK, 3)]) for key, value in good.items()}
            row |= {"more": number} if chance.random() < 0.2 else {}
            row.pop(chance.choice(list(row)) if chance.random() < 0.2 else "", None)
            rows.append(row if chance.random() < 0.9 else chance.choice(JUNK))
        path = tmp_path / f"{stem}.{trial % 2 and 'json' or 'jsonl'}"
        path.write_text(json.dumps(rows) if trial % 2 else "".join(json.dumps(row) + "\n" for row in rows))
        report, _ = cleaned(tmp_path, name, path)
        assert report["rows_in"] == 61


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("values", [[1, 2], [1.5], [True], [b"\xff"], [["a"]], [{"a": 1}], [None]])
def test_a_parquet_of_other_types_is_refused_or_accounted_for(tmp_path, name, values):
    good, stem = TABLES[name]
    pq.write_table(pa.table({key: values for key in good}), tmp_path / f"{stem}.parquet")
    with pytest.raises(UserError):
        cleaned(tmp_path, name, tmp_path / f"{stem}.parquet")


@pytest.mark.parametrize("name", [*TABLES, "bioasq"])
@pytest.mark.parametrize("ending", ["txt", "json", "jsonl", "csv", "parquet", "csv.gz"])
def test_an_empty_file_is_refused(tmp_path, name, ending):
    (tmp_path / f"train.{ending}").write_bytes(b"")
    with pytest.raises(UserError):
        cleaned(tmp_path, name, tmp_path / f"train.{ending}")


def head(path: Path, size: int) -> bytes:
    """The first whole lines of a file."""
    with open(path, "rb") as file:
        return file.read(size).rpartition(b"\n")[0] + b"\n"


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> list[tuple[str, str, bytes, dict]]:
    """Good files to mutate, for each cleaner and format: beginnings of the real ones where these are, else made up."""
    folder, found = tmp_path_factory.mktemp("bases"), []
    kinds = {"biomed_en_de": ["jsonl", "parquet", "csv"], "finance_news": ["csv", "parquet"], "fiqa": ["json", "jsonl"],
             "financial_phrasebank": ["parquet", "csv"], "medmcqa": ["parquet", "jsonl"], "wikitext": ["parquet"],
             "text": ["csv", "tsv", "json", "jsonl", "parquet", "jsonl.gz", "csv.zst", "parquet.gz"]}
    words = ["a – b", "Łódź", "“q”", "<b>", "a@b.de", "£5", "😊"] * 3
    sentences = [f"{LONG}{number}, {word}" for number, word in enumerate(words)]
    papers = DATA / "pubmedqa/ori_pqal.json"
    if papers.exists():
        sentences = [paper["CONTEXTS"][0] for paper in list(json.loads(papers.read_text()).values())[:25]]
    for name, formats in kinds.items():
        good, stem = TABLES[name]
        rows = [{key: sentence if value == LONG else value | {"en": sentence} if isinstance(value, dict) else value
                 for key, value in good.items()} for sentence in sentences]
        for form in formats:
            usable = [{key: json.dumps(v) if isinstance(v, dict) else damaged(v) if isinstance(v, str) else v
                       for key, v in row.items()} for row in rows] if "csv" in form else rows
            path = written(folder / f"{stem}.{form}", usable)
            found.append((name, path.name, path.read_bytes(), {}))
    found.append(("text", "x.txt", "\n".join(sentences).encode(), {}))
    found.append(("text", "x.txt", "\n".join(sentences).encode(), {"whole": True}))
    found.append(("bioasq", "x.json", json.dumps(squad(*sentences)).encode(), {}))
    questions = [{"id": str(number), "snippets": [{"text": sentence, "document": f"d{number % 4}"}],
                  "ideal_answer": [sentence[::-1]]} for number, sentence in enumerate(sentences)]
    found.append(("bioasq", "x.json", json.dumps({"questions": questions}, indent=1).encode(), {"answers": True}))
    for name, path in (("medmcqa", "medmcqa/dev.json"), ("financial_phrasebank", "phrasebank/Sentences_50Agree.txt"),
                       ("financial_phrasebank", "phrasebank/Sentences_AllAgree.txt"),
                       ("text", "pubmed/NCBItrainset_corpus.txt")):
        if (DATA / path).exists():
            found.append((name, Path(path).name, head(DATA / path, 12_000), {}))
    return found


PIECES = [b"null", b"-1", b"1e999", b"true", b'"', b"\\", b'"\\ud800"', b"\\u0000", b"\0", b"[" * 3000, b"]", b"{", b"}",
          b"{}", b",", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"@", b"\t", b"9" * 5000,
          b'"en": ', b'"text": "x", ', "?셲??".encode(), b"&#xD800;", b"http://[", b" = x = ", b"NaN", b"<" * 50]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, cut out, cut off, repeated, turned round or put in, one to four times."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice([1, 1, 2, 8, 100, 2000]))
        match chance.randrange(6):
            case 0:
                end = min(end, start + 3)
                flipped = bytes(byte ^ 1 << chance.randrange(8) for byte in data[start:end])
                data = data[:start] + flipped + data[end:]
            case 1:
                data = data[:start] + data[end:]
            case 2:
                data = data[:start] if chance.random() < 0.3 else data[:start] + data[start:end] * 2 + data[end:]
            case 3:
                data = data[:start] + data[start:end][::-1] + data[end:]
            case _:
                data = data[:start] + chance.choice(PIECES) + data[start if chance.random() < 0.5 else end:]
    return data


def test_mutated_files_are_accounted_for_or_refused(tmp_path, bases):
    """Never another exception; what is kept is whole, and different texts."""
    chance, outcomes = random.Random(4), Counter()
    for number in range(int(os.environ.get("DAPT_FUZZ", "300"))):
        name, file, data, options = bases[number % len(bases)]
        path = tmp_path / file
        path.write_bytes(mutated(data, chance))
        try:
            cleaned(tmp_path, name, path, **options)
            outcomes["cleaned"] += 1
        except UserError as error:
            assert str(error).strip() and "\n" not in str(error)
            outcomes["refused"] += 1
        except Exception as error:
            keep = Path(os.environ.get("DAPT_FUZZ_KEEP", tmp_path)) / f"{name}-{number}-{file}"
            keep.write_bytes(path.read_bytes())
            raise AssertionError(f"{name} on the mutated file {keep}: {error!r}") from error
    assert min(outcomes["cleaned"], outcomes["refused"]) > sum(outcomes.values()) / 10
