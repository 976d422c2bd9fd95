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
    """Of this process's standard output; standard error takes all of them by itself."""
    codecs.register_error("plain", _plain)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="plain")
