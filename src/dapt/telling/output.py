"""Makes standard output accept every character: batch systems set encodings (PYTHONIOENCODING=ascii) that lack `×`."""

import codecs
import io
import sys

PLAIN = {"×": "x", "±": "+-", "–": "-", "−": "-", "…": "...", "→": "->", "·": "-", "“": '"', "”": '"', "’": "'"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replacements for characters that an encoding lacks.

    >>> codecs.register_error("plain", _plain)
    >>> "1 × cpu → 0.5 ± 0.1 …, 模".encode("ascii", "plain")
    b'1 x cpu -> 0.5 +- 0.1 ..., ?'
    """
    assert isinstance(error, UnicodeEncodeError)
    return "".join(PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


def take_every_character() -> None:
    """For this process's standard output; standard error accepts all characters anyway."""
    codecs.register_error("plain", _plain)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="plain")
