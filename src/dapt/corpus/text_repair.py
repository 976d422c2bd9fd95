"""Text repair shared by all cleaners; the rows changed by each kind of repair are counted.

Unicode goes through ftfy (mojibake, HTML entities, control characters, NFC). URLs and e-mail addresses are removed,
since they are not language; a handle becomes @user, as in TweetEval (Barbieri et al. 2020), so that a sentence keeps
its subject without a person's name. A repair removes only what its name says and nothing around it: docs/cleaning.md has
a table of what is removed and what stays. Text that needs no repair is returned unchanged, and quickly: most rows contain
no character that a step acts on, and only lines with characters that ftfy acts on are passed to ftfy.
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
ACTED_ON = re.compile(r"[^\t\n\r -%'-;=?A-~]")  # characters that some step acts on, except those of a URL
SOUND = "\u00a0\u2002-\u200b\u202f‘’“”–—…•°αβμ"  # common; never mojibake to ftfy, in any combination
MAYBE_BROKEN = re.compile(rf"^[\0-\t\x0b-\x1a\x1c-%'-\x7f{SOUND}]*+[^\n].*", re.M)  # a line with others, &, ESC
SPACES = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")

# Invisible characters are removed, with two exceptions. A joiner (U+200C, U+200D) is part of the spelling in the scripts
# from Arabic to Mongolian, and of joined emoji. A zero-width space (U+200B) separates the words of Thai, Lao, Burmese and
# Khmer.
JOINING = r"\u0600-\u109f\u1780-\u18af\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
EMOJI = r"\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
WITHOUT_SPACES = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
INVISIBLE = re.compile(
    r"[\u00ad\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
    rf"|(?<![{WITHOUT_SPACES}])\u200b|(?<![{JOINING}])\u200c|(?<![{JOINING}{EMOJI}])\u200d"
)

# A block whose content is not text is removed as a whole; it ends before the next of its kind begins, so that no text is
# searched twice. An inline tag is removed without a space, since it may be inside a word (H<sub>2</sub>O). The repetitions are not
# possessive: before 3.11.5, Python finds nothing with those of a group (its issue 106052), and Debian 12 has 3.11.2.
NO_TEXT = re.compile(
    r"<!--(?:(?!<!--|-->).)*-->|<!doctype\b[^<>]*>"
    r"|<(script|style)\b[^<>]*>(?:(?!</?\1\b).)*</\1\s*>",
    re.I | re.S,
)
TAG_BODY = r"(?:\s+[a-z-]+\s*=[^<>]*)?\s*/?>"
INLINE = re.compile(
    rf"</?(?:a|abbr|b|big|cite|code|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup|tt|u){TAG_BODY}",
    re.I,
)
BLOCK = re.compile(
    r"</?(?:article|blockquote|body|br|caption|center|dd|div|dl|dt|figcaption|figure|footer|h[1-6]|head|header|hr|html|"
    rf"img|li|ol|p|pre|section|table|tbody|td|tfoot|th|thead|title|tr|ul){TAG_BODY}",
    re.I,
)
MARKER = re.compile(r"(?<![\w)\]])<<+(?=[^\W\d_])([^<>]*)(?<=[\w.!?])>>+(?![\w(\[])")  # <<name>>, not a comparison

# An address consists of ASCII characters: text of a script without spaces may follow it directly. The end of a domain is
# in lower case, or COM and the like, which distinguishes jane.doe@example.org from the material Fe3O4@SiO2.NH2.
EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++@(?:[A-Z]?[a-z0-9-]+\.)+[a-z]{2,24}(?![A-Za-z0-9@_])"
    r"|(?<![A-Za-z0-9._%+-])[A-Z0-9._%+-]++@(?:[A-Z0-9-]+\.)+(?:COM|EDU|GOV|INFO|NET|ORG)(?![A-Za-z0-9@_])"
)
HANDLE = re.compile(r"(?<![A-Za-z0-9_@\u00c0-\u024f])@(?!user\b)[A-Za-z_][\w\u00c0-\u024f]*", re.A)

# The characters of RFC 3986, and letters of the scripts that separate words by spaces. A URL ends before a bracket that
# was not opened inside it, and before closing punctuation; tweets are truncated with … in the middle of one.
IN_URL = r"A-Za-z0-9\-._~:/?#@!$&'*+,;=%\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u052f"
URL = re.compile(
    rf"(?<![A-Za-z0-9])(?:https?://|www\.)(?:(?:[{IN_URL}]|\([{IN_URL}]*\)|\[[{IN_URL}]*\])+(?<![.,;:!?'*_~])(?:\.?…)?|…)",
    re.I,
)
WHITE = re.compile(r"\s+")


def _needs_nothing(text: str) -> bool:
    return not (ACTED_ON.search(text) or "://" in text or "www." in text.lower())


def _without_tags(text: str) -> str:
    return BLOCK.sub(" ", INLINE.sub("", NO_TEXT.sub(" ", text)))


STEPS: dict[str, tuple[str, Callable[[str], str]]] = {  # what a text must contain, and what is then done to it
    "unicode": ("", lambda text: MAYBE_BROKEN.sub(lambda line: ftfy.fix_text(line[0], FTFY), text)),
    "spaces": ("", lambda text: text if text.isascii() else SPACES.sub(" ", text)),
    "invisible": ("", lambda text: INVISIBLE.sub("", text)),
    "tags": ("<", _without_tags),
    "markers": ("<<", lambda text: MARKER.sub(r" \1 ", text)),
    "emails": ("@", lambda text: EMAIL.sub(" ", text)),
    "urls": ("", lambda text: URL.sub(" ", text) if "://" in text or "www." in text.lower() else text),
    "handles": ("@", lambda text: HANDLE.sub("@user", text)),
}


def repair(text: str, kinds: set[str]) -> str:
    """The repaired text, white space collapsed; `kinds` gains the names of the repairs that changed it.

    >>> kinds = set()
    >>> repair("Fish &amp; chips\\u00a0by @someone: http://x.y/z", kinds), sorted(kinds)
    ('Fish & chips by @user:', ['handles', 'spaces', 'unicode', 'urls'])
    """
    if _needs_nothing(text):
        return " ".join(text.split())
    for kind, (needed, step) in STEPS.items():
        if needed in text and (fixed := step(text)) != text:
            kinds.add(kind)
            text = fixed
    return WHITE.sub(" ", text).strip()
