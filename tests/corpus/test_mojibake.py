"""UTF-8 read as cp949 and put back. The damage is done here by Python's own codec, pair by pair, as Windows does it."""

import pytest

from dapt.corpus.mojibake import mended
from sources import damaged


def test_the_damage_is_the_one_that_was_measured_in_the_corpus():
    assert damaged("India’s share") == "India?셲 share"


@pytest.mark.parametrize(
    "text",
    [
        "India’s share of the world’s exports",
        "I don’t think we’ll see it",
        "“It’s a start,” he said. “We’re not done.”",
        "the banks’ profits and Barclays’ loss",
        "Sales rose – not by much – in May",
        "a mid‑cap—or so they said",
        "wait…and see",
        "café, naïve, Zürich, Łódź",
        "£100m, 5½ per cent, 20 °C, ®",
        "the ‘bad bank’ plan",
        "“Why?” he asked",
        "‘The ‘inner’ man,’ she wrote",
        "CBS’ “Face the Nation,” on Sunday",
        "the €x rate",
        "They said “we’ll do it",
        "the “end”",
        "it ends.”",
        "“Ours says: ‘We grow by 7 percent,’” Meadows said",
        "zero\u200bwidth",
    ],
)
def test_what_can_be_told_comes_back_as_it_was(text):
    assert damaged(text) != text and mended(damaged(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "up to €100 million",
        "in 2016–17 alone",
        "the ‘100-year’ bond",
        "wait— or not",
        "well… so be it",
        "a smile 😊 and more",
        "the Greek α and β",
    ],
)
def test_what_is_lost_for_good_is_said_to_be(text):
    assert mended(damaged(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain text",
        "Really?? Yes, really?! Why???",
        'He asked "what??"',
        "“Good” – it’s £5…",
        "déjà vu, 5 °C, α and β",
        "a?b?c",
        "(what??)",
    ],
)
def test_good_text_stays_as_it_is(text):
    assert mended(text) == text


def test_real_korean_is_no_english_text():
    assert mended("The bank 한국은행 raised its rate") is None


@pytest.mark.timeout(60)
def test_long_texts_take_time_in_proportion():
    text = damaged("“It’s the banks’ share – and Łódź’s,” he said. ") * 20_000
    assert len(mended(text)) == len("“It’s the banks’ share – and Łódź’s,” he said. ") * 20_000
