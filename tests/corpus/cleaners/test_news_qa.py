"""A headline and the opening of its article."""

from sources import cleaned


def test_headline_and_opening(tmp_path, articles):
    report, found = cleaned(tmp_path, "news_qa", articles)
    assert report["rows_in"] == 3 and report["kept"] + sum(report["dropped"].values()) == 3
    assert all(row["text"] == row["question"] and row["answer"].startswith(row["label"][:20]) for row in found)
