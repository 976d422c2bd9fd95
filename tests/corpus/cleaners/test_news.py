"""News articles, their quotes broken, told apart by what they are about."""

import pytest

from dapt.corpus.cleaners import news
from sources import cleaned


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
