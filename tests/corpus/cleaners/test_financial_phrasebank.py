"""Financial PhraseBank: the original and the hub's form."""

from collections import Counter

from dapt.core.rows import text_id
from sources import LONG, cleaned, real, written


def test_phrasebank_as_it_was_published(tmp_path):
    """4,846 lines; 4,812 different ones of more than 30 characters by the original project's rule, counted here by other means."""
    path = real("phrasebank/Sentences_50Agree.txt")
    report, found = cleaned(tmp_path, "financial_phrasebank", path)
    assert report["rows_in"] == 4846 and report["original_rule"]["kept"] == 4812
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


def test_labels_are_read_whatever_type_their_column_has(tmp_path):
    for number, label in enumerate(["Positive", " positive ", "2", "2.0", 2, 2.0]):
        for path in (tmp_path / f"{number}.csv", tmp_path / f"{number}.parquet"):
            found = cleaned(tmp_path, "financial_phrasebank", written(path, [{"sentence": LONG, "label": label}]))[1]
            assert [row["label"] for row in found] == ["positive"]


def test_phrasebank_in_all_its_forms(tmp_path):
    sentences = [(f"{LONG}1 @ Nokia", 2), (f"{LONG}2 in Jyväskylä", 0), (f"{LONG}3", 1), (f"{LONG}1 @ Nokia", 0)]
    names = ["negative", "neutral", "positive"]
    text = "".join(f"{sentence}@{names[label]}\r\n" for sentence, label in sentences) + "1\r\n"
    (tmp_path / "latin.txt").write_bytes(text.encode("latin-1"))
    (tmp_path / "utf.txt").write_bytes(text.encode("utf-8-sig"))
    rows = [{"sentence": sentence, "label": label} for sentence, label in sentences] + [{"sentence": "1", "label": 7}]
    forms = [
        tmp_path / "latin.txt",
        tmp_path / "utf.txt",
        written(tmp_path / "x.parquet", rows),
        written(tmp_path / "x.csv", rows),
    ]
    for path in forms:
        report, found = cleaned(tmp_path, "financial_phrasebank", path)
        assert [(row["text"], row["label"]) for row in found] == [(text, names[label]) for text, label in sentences[:3]]
        assert report["rows_in"] == 5
        assert report["dropped"] == {"duplicate": 1, "no label": 1} and report["original_rule"]["kept"] == 3
