"""UTF-8 that was read as cp949, Windows' Korean code page: `India?셲` for `India’s`.

Windows read the bytes in pairs. Of E2 80 99 73, the UTF-8 of `’s`, the first pair is none of cp949's and became `?`;
the second, 99 73, is a syllable. So a `?` before a pair that begins with a continuation byte of UTF-8 stands for E2 80,
which begins curly quotes, dashes and the ellipsis (U+2010 to U+203F), and all other pairs are encoded back. Where the
byte behind the quote or dash was no letter, as in `’ ` (99 20), the second pair was none either: `??` is left, and a
space, mostly, went with it. What stood there is told by its neighbours, or not at all.
"""

import re

EASTERN = re.compile("[\u2500-\u257f\u3131-\u318e\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff]")  # most of cp949's pairs
RUN = re.compile(r"(?:\??[^\x00-\x7f])+")
LOST_LEAD = b"\xe2\x80"
OPEN_END = re.compile(rb"\xe2\x80?$")  # of a mark whose last byte and the one behind it were lost as one `?`
SOUND = re.compile("[ -~\u00a0-\u017f\u200b\u2010-\u2015\u2018-\u201e\u2026\u2032\u2033\u2039\u203a€]*")
QUESTIONS = re.compile(r"\?{2,}")
QUOTE = re.compile("[“”‘]|’(?![a-z])")
CLOSING = {"“": "”", "‘": "’"}


def mended(text: str) -> str | None:
    """The text as it was before it was read as cp949, or None where that can't be told. Good text comes back as it is.

    >>> mended("India?셲 caf챕 ?쏤resh??sold 짙100 ??not more ??in the banks??name")
    'India’s café “Fresh” sold £100 – not more – in the banks’ name'
    >>> mended("up ??00 million"), mended("What?? Why?!")
    (None, 'What?? Why?!')
    """
    damaged = EASTERN.search(text) is not None
    try:
        text = RUN.sub(_decoded, text) if damaged else text
        return _without_lost_pairs(text, damaged) if "??" in text else text
    except UnicodeError:  # a byte that nothing tells
        return None


def _decoded(run: re.Match) -> str:
    """The characters that a run of pairs was; a run without any syllable is none of them."""
    if not EASTERN.search(run[0]):
        return run[0]
    pairs = [b"?" if char == "?" else b"\x80" if char == "\x80" else char.encode("cp949") for char in run[0]]
    for at, pair in enumerate(pairs[1:]):
        if pairs[at] == b"?" and 0x80 <= pair[0] < 0xC0:
            pairs[at] = LOST_LEAD
    text = OPEN_END.sub(b"?", b"".join(pairs)).decode().replace("\u202c", "€")  # E2 82 AC: the same lost lead
    if not SOUND.fullmatch(text):
        raise UnicodeError(f"{text!r} is not what an English text holds")
    return text


def _without_lost_pairs(text: str, damaged: bool) -> str:
    """`??` replaced by the mark that it was; open quotes are remembered, so that it can close them."""
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
    """What a run of two or more `?` was: `before` are the characters before its last two, `after` the one behind."""
    behind_stop, behind_space = before.rstrip()[-1:] in tuple(".,;!?’"), before[-1:].isspace()
    if after.isalpha() or after in tuple("“‘([$£€"):
        if len(questions) > 3:
            raise UnicodeError("several marks on end")
        kept = questions[2:]
        if behind_space and not (behind_stop and opened):
            return "– "
        if behind_stop or opened:
            return f"{kept}{opened.pop() if opened else '”'} "
        if before[-1:] in tuple("sS"):
            return "’ "
        raise UnicodeError("neither a quote, nor a dash, nor a possessive")
    if after.isdigit():
        raise UnicodeError("a digit may be lost")
    if len(questions) == 2 and (before[-1:] in tuple(".,;") or (opened and not after)):
        return (opened.pop() if opened else "”") + (" " if after.strip() else "")
    if damaged:
        raise UnicodeError("more than a space is lost")
    return questions
