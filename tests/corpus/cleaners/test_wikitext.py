"""WikiText, tokenised lines."""

from sources import cleaned, written


def test_wikitext(tmp_path):
    raw = [
        "",
        " = Valkyria Chronicles III = \n",
        "",
        " The game , sold as 1 @,@ 500 hand @-@ made copies , is a role playing one . \n",
        " = = Plot = = \n",
        ' It is set in a war , and the player \'s squad ( 12 men ) took " Europa " in 2 @.@ 5 days . \n',
        " = Tower Building of the Little Rock Arsenal = \n",
        " Also known as U.S. Arsenal Building , it is in MacArthur Park . \n",
    ]
    report, found = cleaned(tmp_path, "wikitext", written(tmp_path / "x.parquet", [{"text": line} for line in raw]))
    assert report["rows_in"] == 8 and report["dropped"] == {"empty": 2, "heading": 3}
    assert [row["text"] for row in found] == [
        "The game, sold as 1,500 hand-made copies, is a role playing one.",
        'It is set in a war, and the player\'s squad (12 men) took " Europa " in 2.5 days.',
        "Also known as U.S. Arsenal Building, it is in MacArthur Park.",
    ]
    assert [row["group"] for row in found] == ["wikitext:Valkyria Chronicles III"] * 2 + [
        "wikitext:Tower Building of the Little Rock Arsenal"
    ]
