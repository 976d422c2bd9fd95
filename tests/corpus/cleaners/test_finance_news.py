"""Financial news, some of it mojibake."""

from sources import LONG, cleaned, damaged, written


def test_news_has_its_broken_quotes_mended_or_goes(tmp_path):
    good = [f"{LONG}{number}" for number in range(3)]
    raw = [good[0], f"India’s {good[1]}", f"a profit of €100, {good[2]}", good[0].upper(), "short"]
    rows = [{"newssource": "s", "newscontents": damaged(text), "label": 1} for text in raw]
    for name in ("x.csv", "x.parquet", "x.csv.gz"):
        report, found = cleaned(tmp_path, "finance_news", written(tmp_path / name, rows))
        assert [row["text"] for row in found] == [good[0].strip(), raw[1]]
        assert report["dropped"] == {"duplicate": 1, "mojibake": 1, "too short": 1}
        assert report["repaired"] == {"cp949": 1}
        assert report["original_rule"]["kept"] == 4 and "label" not in found[0]
