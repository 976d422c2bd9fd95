"""The English side of biomedical texts in two languages."""

import json

from sources import GERMAN, LONG, cleaned, lines, real, written


def test_the_english_side(tmp_path):
    pairs = [{"en": f"{LONG}{number}", "de": GERMAN} for number in range(3)]
    values = [
        pairs[0],
        json.dumps(pairs[1]),
        f"{LONG}plain",
        GERMAN,
        {"en": GERMAN, "de": ""},
        {"de": GERMAN},
        7,
        None,
        '{"en": null}',
        "{" + LONG,
    ]
    report, found = cleaned(tmp_path, "biomed_en_de", lines(tmp_path / "x.json", [{"text": value} for value in values]))
    assert [row["text"] for row in found] == [f"{LONG}0", f"{LONG}1", f"{LONG}plain", "{" + LONG.strip()]
    assert (
        report["dropped"] == {"not English": 2, "not text": 4} and report["original_rule"]["kept"] == 5
    )  # GERMAN once
    texts = [{"text": json.dumps(pair)} for pair in pairs]
    structs = [{"text": pair} for pair in pairs]
    for name, rows in (("x.csv", texts), ("x.parquet", texts), ("y.parquet", structs), ("y.json", structs)):
        assert len(cleaned(tmp_path, "biomed_en_de", written(tmp_path / name, rows))[1]) == 3


def test_german_is_told_from_clinical_english(tmp_path):
    """Of whole sentences at most one German one in a hundred stays, and no English one goes."""
    pairs = json.loads(real("en_de/biomqm_en2de_reference.json").read_text())
    english, german = (
        [{"text": pair[side]} for pair in pairs if len(pair[side]) >= 60] for side in ("source", "target")
    )
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
