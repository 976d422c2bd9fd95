"""UTF-8 that was read as cp949, Windows' Korean code page: `India?셲` for `India’s`.

Windows read the bytes in pairs. Of E2 80 99 73, the UTF-8 of `’s`, the first pair does not exist in cp949 and became `?`;
the second, 99 73, is a syllable. So a `?` before a pair that begins with a continuation byte of UTF-8 stands for E2 80,
which begins curly quotes, dashes and the ellipsis (U+2010 to U+203F), and all other pairs are encoded back. If the byte
after the quote or dash was not a letter, as in `’ ` (99 20), the second pair did not exist either: `??` is left, and
mostly a space was lost with it. The lost mark is inferred from its neighbours, if that is possible.
"""

import re

EASTERN = re.compile("[\u2500-\u257f\u3131-\u318e\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff]")  # most of cp949's pairs
RUN = re.compile(r"(?:\??[^\x00-\x7f])+")
LOST_LEAD = b"\xe2\x80"
OPEN_END = re.compile(rb"\xe2\x80?$")  # of a mark whose last byte and the byte after it were lost as one `?`
SOUND = re.compile("[ -~\u00a0-\u017f\u200b\u2010-\u2015\u2018-\u201e\u2026\u2032\u2033\u2039\u203a€]*")
QUESTIONS = re.compile(r"\?{2,}")
QUOTE = re.compile("[“”‘]|’(?![a-z])")
CLOSING = {"“": "”", "‘": "’"}


def mended(text: str) -> str | None:
    """The text before it was read as cp949, or None if that cannot be inferred. Good text is returned unchanged.

    >>> mended("India?셲 caf챕 ?쏤resh??sold 짙100 ??not more ??in the banks??name")
    'India’s café “Fresh” sold £100 – not more – in the banks’ name'
    >>> mended("up ??00 million"), mended("What?? Why?!")
    (None, 'What?? Why?!')
    """
    damaged = EASTERN.search(text) is not None
    try:
        text = RUN.sub(_decoded, text) if damaged else text
        return _without_lost_pairs(text, damaged) if "??" in text else text
    except UnicodeError:  # a byte that cannot be inferred
        return None


def _decoded(run: re.Match) -> str:
    """The original characters of a run of pairs; a run without a syllable is returned unchanged."""
    if not EASTERN.search(run[0]):
        return run[0]
    pairs = [b"?" if char == "?" else b"\x80" if char == "\x80" else char.encode("cp949") for char in run[0]]
    for at, pair in enumerate(pairs[1:]):
        if pairs[at] == b"?" and 0x80 <= pair[0] < 0xC0:
            pairs[at] = LOST_LEAD
    text = OPEN_END.sub(b"?", b"".join(pairs)).decode().replace("\u202c", "€")  # E2 82 AC: the same lost lead
    if not SOUND.fullmatch(text):
        raise UnicodeError(f"{text!r} does not occur in English text")
    return text


def _without_lost_pairs(text: str, damaged: bool) -> str:
    """Replace each `??` by the original mark; open quotes are remembered, so that the marks can close them."""
    done, at, opened = [], 0, []
    for match in QUESTIONS.finditer(text):
        before = text[at : match.start()]
        for quote in QUOTE.findall(before):
            if quote in CLOSING:
                opened.append(CLOSING[quote])
            elif opened and opened[-1] == quote:
                opened.pop()
        behind = text[max(0, match.start() - 2) : match.end() - 2]
        done += [before, _mark(match[0], behind, text[match.end() : match.end() + 1], opened, damaged)]
        at = match.end()
    return "".join(done) + text[at:]


def _mark(questions: str, before: str, after: str, opened: list[str], damaged: bool) -> str:
    """The original of two or more `?`: `before` has the characters before the last two, `after` the one after them."""
    behind_stop, behind_space = before.rstrip()[-1:] in tuple(".,;!?’"), before[-1:].isspace()
    if after.isalpha() or after in tuple("“‘([$£€"):
        if len(questions) > 3:
            raise UnicodeError("several marks in a row")
        kept = questions[2:]
        if behind_space and not (behind_stop and opened):
            return "– "
        if behind_stop or opened:
            return f"{kept}{opened.pop() if opened else '”'} "
        if before[-1:] in tuple("sS"):
            return "’ "
        raise UnicodeError("neither a quote, nor a dash, nor a possessive")
    if after.isdigit():
        raise UnicodeError("a digit may have been lost")
    if len(questions) == 2 and (before[-1:] in tuple(".,;") or (opened and not after)):
        return (opened.pop() if opened else "”") + (" " if after.strip() else "")
    if damaged:
        raise UnicodeError("more than a space was lost")
    return questions
