"""What every cleaner yields, and what every row of data/processed holds."""

import hashlib
from dataclasses import dataclass, field

from dapt.telling.errors import UserError


@dataclass(slots=True)
class Record:
    """One row of a source, before repair.

    `text` may be the names of fields instead: repaired and joined by a space, those there are make up the text.
    `group` names the source record that it comes from: all rows of a group lie on one side of every split.
    `split` (train, valid, test) is the source's own, where it has one. `drop` is the reason why the cleaner leaves
    the row out; such a row is counted, not written. `repaired` names the kinds of repair that the cleaner itself did.
    `seed` is the text that the seed's own rule would keep of this row, whatever becomes of the row here.
    """

    text: str | tuple[str, ...]
    group: str
    label: str | None = None
    split: str | None = None
    fields: dict = field(default_factory=dict)
    drop: str | None = None
    repaired: tuple[str, ...] = ()
    seed: str | None = None


def normal(text: str) -> str:
    """The form in which two texts count as equal: case-folded, white space collapsed."""
    return " ".join(text.casefold().split())


def text_id(text: str) -> str:
    """64 bits of the SHA-256 of the normalised text, in hexadecimal."""
    return hashlib.sha256(normal(text).encode()).hexdigest()[:16]


def seed_text(text: str, least: int) -> str | None:
    """What the seed kept of a text: white space collapsed, where `least` characters are left; else None.

    >>> seed_text(" two\\n words ", 9), seed_text("two words", 10)
    ('two words', None)
    """
    text = " ".join(text.split())
    return text if len(text) >= least else None


def decoded(data: bytes, name: str) -> str:
    """UTF-8 with or without a byte-order mark; anything else is refused with the place."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 (byte {error.start}); fetch it again or convert it with iconv") from error
