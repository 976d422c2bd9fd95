"""Standard output that takes every character: batch systems set encodings (PYTHONIOENCODING=ascii) that do not hold `×`."""

import codecs
import io
import sys

PLAIN = {"×": "x", "±": "+-", "–": "-", "−": "-", "…": "...", "→": "->", "·": "-", "“": '"', "”": '"', "’": "'"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding does not hold.

    >>> codecs.register_error("plain", _plain)
    >>> "1 × cpu → 0.5 ± 0.1 …, 模".encode("ascii", "plain")
    b'1 x cpu -> 0.5 +- 0.1 ..., ?'
    """
    assert isinstance(error, UnicodeEncodeError)
    return "".join(PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


def take_every_character() -> None:
    """Of this process's standard output and error."""
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")
