"""The common part of cleaning, and the sample profile's cleaners on small files in their sources' own layout."""

import json
import zipfile
from pathlib import Path

import pytest

from dapt.core.files import read_lines
from dapt.core.rows import text_id
from dapt.corpus.cleaners import news
from dapt.corpus.cleaning import Report, clean, rows
from dapt.corpus.records import Record
from dapt.stages.clean import run_file
from dapt.telling.errors import UserError

LONG = "a text that is longer than thirty characters, as number "


def cleaned(tmp_path: Path, name: str, file: Path, **options) -> tuple[dict, list[dict]]:
    report = clean("x", [(name, [file], options)], tmp_path / "out.jsonl")
    return report.as_dict(), list(read_lines(tmp_path / "out.jsonl"))


def test_every_row_is_kept_or_dropped_with_a_reason():
    records = [
        Record(LONG + "1", "g:1"),
        Record(LONG.upper() + "1", "g:2"),
        Record("short", "g:3"),
        Record(" \u200b ", "g:4"),
        Record(LONG + "2 &amp; more", "g:5", label="L", split="test", fields={"options": ["a &lt; b"], "answer": 0}),
        Record(LONG + "3", "g:6", drop="because"),
    ]
    report = Report()
    found = list(rows(records, "x", 30, set(), report))
    assert report.as_dict() | {} == {
        "rows_in": 6,
        "kept": 2,
        "repaired": {"unicode": 1},
        "dropped": {"because": 1, "duplicate": 1, "empty": 1, "too short": 1},
    } | {key: value for key, value in report.as_dict().items() if key == "original_rule"}
    assert found[0] == {"id": text_id(LONG + "1"), "group": "g:1", "text": LONG + "1", "corpus": "x"}
    assert found[1]["text"] == LONG + "2 & more" and found[1]["options"] == ["a < b"] and found[1]["split"] == "test"


def test_of_two_equal_texts_the_labelled_one_stays_whichever_source_comes_first(tmp_path):
    head = "Category\tText\nd\tstring\nclass\t\n"
    same = "champion products approves a stock split of its common shares"
    (tmp_path / "r.tab").write_text(f"{head}earn\t{same} reuter\n")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", f'source_id,text\na-1,{same}\na-2,"{LONG}"\n')
    clean("x", [("tweets", [tmp_path / "t.zip"], {}), ("reuters", [tmp_path / "r.tab"], {})], tmp_path / "out.jsonl")
    found = {row["text"]: row.get("label") for row in read_lines(tmp_path / "out.jsonl")}
    assert found == {same: "earn", LONG.strip(): None}


def test_a_corpus_without_a_row_is_refused_and_leaves_no_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", "source_id,text\n")
    with pytest.raises(UserError, match="no row of x"):
        clean("x", [("tweets", [tmp_path / "t.zip"], {})], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


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


def test_definitions_of_an_ontology(tmp_path):
    (tmp_path / "hp.obo").write_text(ONTOLOGY)
    report, found = cleaned(tmp_path, "hpo", tmp_path / "hp.obo")
    assert report["rows_in"] == 9 and report["dropped"] == {"no definition": 3, "obsolete": 1}
    assert found[0]["text"] == 'A clouding of the lens, named "grey star", which scatters light.'
    assert {row["group"] for row in found} == {"hpo:HP:1"}


def test_questions_made_of_an_ontology_give_no_answer_away(tmp_path):
    (tmp_path / "hp.obo").write_text(ONTOLOGY)
    report, found = cleaned(tmp_path, "hpo_choices", tmp_path / "hp.obo")
    by_text = {row["text"]: row for row in found}
    cataract = next(row for text, row in by_text.items() if text.startswith("A clouding"))
    assert cataract["label"] == "Abnormality of the eye"
    assert cataract["options"][cataract["answer"]] == "Cataract" and len(set(cataract["options"])) == 4
    assert set(cataract["options"]) < {"Cataract", "Coloboma", "Glaucoma", "Nystagmus", "Shared"}
    glaucoma = next(row for text, row in by_text.items() if text.startswith("Damage"))
    assert "options" not in glaucoma and glaucoma["label"]  # its name stands in its definition
    shared = next(row for text, row in by_text.items() if "two of the branches" in text)
    assert "label" not in shared and shared["options"][shared["answer"]] == "Shared"


def test_tweets_lose_addresses_and_retweets_their_sender(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr(
            "t.csv",
            'source_id,text\ncnn-1,"RT @doctor: Flu is on the rise, says @CDC http://cnn.it/x"\n'
            'cnn-2,"RT @other: Flu is on the rise, says @CDC http://cnn.it/y"\n',
        )
    report, found = cleaned(tmp_path, "tweets", tmp_path / "t.zip")
    assert [row["text"] for row in found] == ["Flu is on the rise, says @user"] and report["dropped"] == {
        "duplicate": 1
    }


ARTICLES = [
    (
        "1",
        "http://x.com/business/a",
        "Shares in the company",
        "The company said its plan was a good one for everybody involved.",
    ),
    (
        "2",
        "http://x.com/sport/b",
        "A goal in the last minute",
        'They scored twice and won, and the crowd""?s cheers were heard. ""Fine,""?he said.',
    ),
    (
        "3",
        "http://x.com/world/c",
        "Rates go up again",
        "The bank raised interest rates, the market fell, shares lost and bonds rose.",
    ),
]


@pytest.fixture()
def articles(tmp_path) -> Path:
    with zipfile.ZipFile(tmp_path / "n.zip", "w") as archive:
        lines = [f'{number},2017/1/1,{link},{title},,"{text}"' for number, link, title, text in ARTICLES]
        archive.writestr(
            "n.csv", "article_id,publish_date,article_source_link,title,subtitle,text\n" + "\n".join(lines)
        )
    return tmp_path / "n.zip"


def test_news_is_finance_by_its_address_or_its_words(tmp_path, articles):
    finance = {row["group"] for row in cleaned(tmp_path, "news", articles, select="finance")[1]}
    other = {row["group"] for row in cleaned(tmp_path, "news", articles, select="other")[1]}
    assert (finance, other) == ({"news:1", "news:3"}, {"news:2"})


@pytest.mark.parametrize(
    "broken, whole",
    [
        ('"No,"?she said', '"No," she said'),
        ('the teachers"?unions', "the teachers' unions"),
        ('of "repeal and replace"?of it', 'of "repeal and replace" of it'),
        ('WASHINGTON"?The law', "WASHINGTON - The law"),
        ('again "? When', "again - When"),
        ('they wouldn"t go', "they wouldn't go"),
        ('an "\ufffdalternative fact', 'an "alternative fact'),
        ("cost \ufffd15m", "cost 15m"),
        ('Is this "the end"? Yes', 'Is this "the end"? Yes'),
        ('He asked: "Why?" and left', 'He asked: "Why?" and left'),
    ],
)
def test_quotes_that_the_news_lost(broken, whole):
    assert news.unbroken(broken) == whole


def test_headline_and_opening(tmp_path, articles):
    report, found = cleaned(tmp_path, "news_qa", articles)
    assert report["rows_in"] == 3 and report["kept"] + sum(report["dropped"].values()) == 3
    assert all(row["text"] == row["question"] and row["answer"].startswith(row["label"][:20]) for row in found)


def test_reuters_test_rows_are_marked_and_win(tmp_path):
    head = "Category\tText\nd\tstring\nclass\t\n"
    twin = "a text in both files of which the test row stays behind"
    (tmp_path / "r8-train.tab").write_text(
        f"{head}earn\t{twin} reuter\nacq\tanother text that is only in the training file\n\t\n"
    )
    (tmp_path / "r8-test.tab").write_text(f"{head}earn\t{twin} reuter\n")
    report = clean(
        "x", [("reuters", [tmp_path / "r8-train.tab", tmp_path / "r8-test.tab"], {})], tmp_path / "out.jsonl"
    )
    found = {row["text"]: row.get("split") for row in read_lines(tmp_path / "out.jsonl")}
    assert found == {twin: "test", "another text that is only in the training file": None}
    assert report.dropped == {"duplicate": 1, "empty": 1} and report.repaired == {"signature": 1}


@pytest.mark.parametrize(
    "name, harm, message",
    [
        ("tweets", lambda file: file.write_bytes(b"PK\x03\x04 cut"), "damaged zip"),
        ("tweets", lambda file: file.write_bytes(b""), "damaged zip"),
        ("hpo", lambda file: file.write_text("no ontology"), "no OBO stanza"),
        ("hpo", lambda file: file.write_bytes(b"[Term]\nname: \xe9"), "not UTF-8"),
        ("reuters", lambda file: file.write_text("Class\tBody\n"), "no column Category"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, name, harm, message):
    harm(tmp_path / "raw")
    with pytest.raises(UserError, match=message):
        cleaned(tmp_path, name, tmp_path / "raw")


def test_one_command_on_any_file(tmp_path):
    (tmp_path / "hp.obo").write_text(ONTOLOGY)
    run_file("hpo", tmp_path / "hp.obo", tmp_path / "o.jsonl", tmp_path / "o.json")
    report = json.loads((tmp_path / "o.json").read_text())
    assert report["rows_in"] == report["kept"] + sum(report["dropped"].values())
    assert report["kept"] == len(list(read_lines(tmp_path / "o.jsonl")))
