import gettext
import gzip
import json
import re
import unicodedata
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import ftfy
import pytest

from dapt.corpus.text_repair import FTFY, SOUND, STEPS, repair
from sources import real

ROOT = Path(__file__).parents[2]


def repaired(text: str) -> tuple[str, set]:
    kinds = set()
    return repair(text, kinds), kinds


def shown(text: str) -> str:
    """A cell of the table in docs/cleaning.md: what is written as \\u and a number stands for that character."""
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)


def table() -> list[tuple[str, list[tuple[str, str]], list[str]]]:
    """The rows of docs/cleaning.md: a repair, its examples (before and after), and what it leaves alone."""
    rows = []
    for line in (ROOT / "docs" / "cleaning.md").read_text().splitlines():
        if line.startswith("| `"):
            kind, _, examples, stays = (cell.strip() for cell in line.strip("|").split(" | "))
            pairs = re.findall(r"`([^`]+)` → `([^`]+)`", examples)
            rows.append(
                (kind.strip("` "), [(shown(a), shown(b)) for a, b in pairs], re.findall("`([^`]+)`", shown(stays)))
            )
    return rows


def test_the_table_names_every_repair_in_its_order():
    assert [kind for kind, _, _ in table()] == list(STEPS)


@pytest.mark.parametrize("kind, before, after", [(kind, *pair) for kind, pairs, _ in table() for pair in pairs])
def test_an_example_of_the_table_is_repaired_as_it_says(kind, before, after):
    assert repaired(before) == (after, {kind})


@pytest.mark.parametrize("text", [text for _, _, stays in table() for text in stays])
def test_what_the_table_says_stays_stays(text):
    assert repaired(text) == (text, set())


@pytest.mark.parametrize(
    "text, good",
    [
        ("  a \n\t b ", "a b"),
        ("(see http://a.org/b).", "(see )."),
        ("[1](http://a.org/b)text", "[1]( )text"),
        ("„http://a.org/ä/x“ и http://a.ru/Москва.", "„ “ и ."),
        ("http://a.org에서 http://a.org에서", "에서 에서"),
        ("breaking: http://t.co/ab… more http://…", "breaking: more"),
        ("Mail:jane@a.org-or-tweet, JANE@A.ORG", "Mail: -or-tweet,"),
        ("Vitamin D<sub>3</sub>, CD4<sup>+</sup>, <i>Trp53</i><sup>-/-</sup>", "Vitamin D3, CD4+, Trp53-/-"),
        ("10<sup>&minus;6</sup> and <i>p</i>&lt;0.001", "10−6 and p<0.001"),
        ("<style>.x{color:red}</style>a<SCRIPT src='x'>if (a<b) {}</SCRIPT>b", "a b"),
        ("<script>alert(1) and no end", "<script>alert(1) and no end"),
        ("<!-- no end, <!-- an end --> b", "<!-- no end, b"),
        ("👩\u200d👩\u200d👧 wi\u200dll", "👩\u200d👩\u200d👧 will"),
    ],
)
def test_a_repair_takes_its_own_and_nothing_around_it(text, good):
    assert repaired(text)[0] == good


@pytest.mark.parametrize(
    "text",
    [
        "Reduced FEV1 (p<0.05) and x>3; IC50 < 10 µM, 37 °C, β-catenin, α/β, ±2 SD, 5–10 %.",
        "Naïve T cells from São Paulo’s “cohort” … Ménière’s, Sjögren.",
        "e.g. Smith et al., 2020; a:b ratio 1:2; A & B; R&D; C#; 3'-UTR; 5\" pipe",
        "k₁ >> k₂, p << 0.05, 1<<4, vector<vector<int>>, core@shell, Au@Ag NPs, Cu2O@ZIF-8.x",
        "股票 рынок σ² ≥ 0",
        "",
    ],
)
def test_good_text_stays_as_it_is(text):
    assert repaired(text) == (text, set())


SCRIPTS = {
    "fa": "Arabic",
    "hy": "Armenian",
    "bn": "Bengali",
    "my": "Burmese",
    "zh_Hans": "Chinese",
    "ru": "Cyrillic",
    "hi": "Devanagari",
    "ka": "Georgian",
    "el": "Greek",
    "ko": "Hangul",
    "he": "Hebrew",
    "ja": "Japanese",
    "km": "Khmer",
    "ml": "Malayalam",
    "th": "Thai",
}
LISTED = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e]|(?<![\u0600-\u17ff])[\u200c\u200d]")


def messages(language: str) -> list[str]:
    """Messages of Django in one language that hold no markup and no address."""
    places = Path(find_spec("django").origin).parent.glob(f"**/locale/{language}/LC_MESSAGES/django.mo")
    catalogs = [gettext.GNUTranslations(place.open("rb"))._catalog for place in sorted(places)]
    texts = [text for catalog in catalogs for original, text in catalog.items() if original]
    return [text for text in texts if not re.search("[<&@]|://|www", text)]


@pytest.mark.parametrize("language", SCRIPTS, ids=SCRIPTS.values())
def test_nothing_but_the_listed_characters_changes(language):
    texts = messages(language)
    assert len(texts) > 150
    for text in texts:
        plain = LISTED.sub("", unicodedata.normalize("NFC", text))
        assert LISTED.sub("", repair(text, set())) == " ".join(plain.split())


@pytest.mark.parametrize("language, joiner", [("fa", "\u200c"), ("ml", "\u200c"), ("km", "\u200b")])
def test_joiners_and_borders_of_words_stay_in_scripts_that_spell_with_them(language, joiner):
    within = re.compile(rf"(?<=[\u0600-\u17ff]){joiner}+(?=[\u0600-\u17ff])")
    texts = messages(language)
    before = sum(len(within.findall(text)) for text in texts)
    assert sum(len(within.findall(repair(text, set()))) for text in texts) == before > 20


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
        "http://a.b/" + "(" * 200_000,
        "http://a.b/" + "a(" * 100_000,
        "http://a.b/" + "." * 200_000,
        "<script>" * 100_000,
        "<!--" * 200_000 + "-->",
        "<<a" * 100_000,
        "<<a b" + " c" * 200_000,
        "a.a@" + "a." * 200_000 + "1",
    ):
        repair(text, set())
