import gzip
import json
import re
from itertools import product

import ftfy
import pytest

from dapt.corpus.text_repair import FTFY, SOUND, repair
from sources import real


def repaired(text: str) -> tuple[str, set]:
    kinds = set()
    return repair(text, kinds), kinds


@pytest.mark.parametrize(
    "text, good, kinds",
    [
        ("Itâ€™s a test", "It’s a test", {"unicode"}),
        ("AT&amp;T &lt;5 mg", "AT&T <5 mg", {"unicode"}),
        ("cafe\u0301", "café", {"unicode"}),
        ("10\u00a0mg\u2009daily", "10 mg daily", {"spaces"}),
        ("zero\u200bwidth so\u00adft", "zerowidth soft", {"invisible"}),
        ("H<sub>2</sub>O <b>now</b><br/>", "H 2 O now", {"tags"}),
        ("<<DISEASE>> here", "DISEASE here", {"markers"}),
        ("write to a.b@c.org now", "write to now", {"emails"}),
        ("see https://t.co/x?y=1 and www.a.b/c", "see and", {"urls"}),
        ("thanks @who, and @user", "thanks @user, and @user", {"handles"}),
        ("  a \n\t b ", "a b", set()),
    ],
)
def test_each_kind_is_repaired_and_named(text, good, kinds):
    assert repaired(text) == (good, kinds)


@pytest.mark.parametrize(
    "text",
    [
        "Reduced FEV1 (p<0.05) and x>3; IC50 < 10 µM, 37 °C, β-catenin, α/β, ±2 SD, 5–10 %.",
        "Naïve T cells from São Paulo’s “cohort” … Ménière’s, Sjögren.",
        "e.g. Smith et al., 2020; a:b ratio 1:2; A & B; R&D; C#; 3'-UTR; 5\" pipe",
        "股票 рынок σ² ≥ 0",
        "",
    ],
)
def test_good_text_stays_as_it_is(text):
    assert repaired(text) == (text, set())


def clean_texts() -> list[str]:
    """Abstracts and sentences written and edited by people, from PubMed."""
    abstracts = [
        line.split("|", 2)[2]
        for line in gzip.open(real("pubmed/CDR_TrainingSet.PubTator.txt.gz"), "rt")
        if re.match(r"\d+\|[ta]\|", line)
    ]
    questions = json.loads(real("pubmedqa/ori_pqal.json").read_text())
    return abstracts + [context for item in questions.values() for context in item["CONTEXTS"]]


def test_no_character_of_pubmed_abstracts_changes_but_spaces():
    """What the repairs may do to text that is right: white space becomes one plain space, nothing else."""
    texts = clean_texts()
    assert len(texts) > 4000
    kinds = set()
    for text in texts:
        assert repair(text, kinds) == " ".join(text.split())
    assert kinds == {"spaces"}


def test_repairing_twice_is_repairing_once():
    for text in ["&amp;amp;lt;b&gt; â€™ @a@b.c http://x <<<>>> ", *clean_texts()[:300]]:
        once = repair(text, set())
        assert repair(once, set()) == once


def test_what_is_not_shown_to_ftfy_is_what_it_would_leave():
    """All sequences of four of these characters and some of ASCII: more than its rules on mojibake look at."""
    characters = [char for char in map(chr, range(0x80, 0x3000)) if re.match(f"[{SOUND}]", char)]
    assert len(characters) == 24
    some = [char for char in characters if not "\u2000" <= char <= "\u200a"] + ["\u2009", "a", "Z", "0", "."]
    assert not [text for text in map("".join, product(some, repeat=4)) if ftfy.fix_text(text, FTFY) != text]
    assert ftfy.fix_text("".join(characters), FTFY) == "".join(characters)


@pytest.mark.timeout(60)
def test_long_runs_of_what_an_address_is_made_of_take_no_time_to_speak_of():
    """Each of them took minutes if a repair looked at a run anew from each of its characters."""
    for text in (
        "a." * 200_000 + " @",
        "@" * 200_000,
        "<b " * 100_000,
        "<b" + " x" * 200_000,
        "&" * 200_000,
        "www." * 100_000,
        "http://" * 50_000,
    ):
        repair(text, set())
