"""Text repair shared by all cleaners; for each kind the rows in which it changed something are counted.

Unicode goes through ftfy (mojibake, HTML entities, control characters, NFC). URLs and e-mail addresses are removed,
since they carry no language; a handle becomes @user, as in TweetEval (Barbieri et al. 2020), so that a sentence keeps
its subject without a person's name. Text that needs nothing comes back as it was, and soon: most rows hold no character
that a step acts on, and ftfy is asked only about the lines that hold one of its own.
"""

import re
from collections.abc import Callable

import ftfy

FTFY = ftfy.TextFixerConfig(
    uncurl_quotes=False,
    fix_character_width=False,
    fix_latin_ligatures=True,
    unescape_html=True,
    normalization="NFC",
    explain=False,
)
ACTED_ON = re.compile(r"[^\t\n\r -%'-;=?A-~]")  # characters that some step acts on, all but those of an address
SOUND = "\u00a0\u2002-\u200b\u202f‘’“”–—…•°αβμ"  # common; no mojibake to ftfy, however they are combined
MAYBE_BROKEN = re.compile(rf"^[\0-\t\x0b-\x1a\x1c-%'-\x7f{SOUND}]*+[^\n].*", re.M)  # a line with others, &, ESC
SPACES = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|br|center|code|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|q|s|small|span|"
    r"strong|sub|sup|table|tbody|td|th|thead|tr|u|ul)(?:\s+[a-z-]+\s*=[^<>]*)?\s*/?>",
    re.I,
)
MARKER = re.compile(r"<<+|>>+")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]*\w")  # looked for once in a run of its characters
URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"]+", re.I)
HANDLE = re.compile(r"(?<![\w@])@(?!user\b)\w+")
WHITE = re.compile(r"\s+")


def _needs_nothing(text: str) -> bool:
    return not (ACTED_ON.search(text) or "://" in text or "www." in text.lower())


def _substitution(pattern: re.Pattern, by: str, needs: str) -> Callable[[str], str]:
    """A repair that looks at a text only where the cheap test `needs` finds its characters."""
    return lambda text: pattern.sub(by, text) if needs in text else text


STEPS: dict[str, Callable[[str], str]] = {
    "unicode": lambda text: MAYBE_BROKEN.sub(lambda line: ftfy.fix_text(line[0], FTFY), text),
    "spaces": lambda text: text if text.isascii() else SPACES.sub(" ", text),
    "invisible": lambda text: INVISIBLE.sub("", text),
    "tags": _substitution(TAG, " ", "<"),
    "markers": lambda text: MARKER.sub(" ", text) if "<<" in text or ">>" in text else text,
    "emails": _substitution(EMAIL, " ", "@"),
    "urls": lambda text: URL.sub(" ", text) if "://" in text or "www." in text.lower() else text,
    "handles": _substitution(HANDLE, "@user", "@"),
}


def repair(text: str, kinds: set[str]) -> str:
    """The repaired text, white space collapsed; `kinds` gains the names of the repairs that changed it.

    >>> kinds = set()
    >>> repair("Fish &amp; chips\\u00a0by @someone: http://x.y/z", kinds), sorted(kinds)
    ('Fish & chips by @user:', ['handles', 'spaces', 'unicode', 'urls'])
    """
    if _needs_nothing(text):
        return " ".join(text.split())
    for kind, step in STEPS.items():
        fixed = step(text)
        if fixed != text:
            kinds.add(kind)
            text = fixed
    return WHITE.sub(" ", text).strip()
