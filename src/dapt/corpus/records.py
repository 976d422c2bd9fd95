"""The records that every cleaner yields and from which the rows of data/processed are made."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Record:
    """One row of a source, before repair.

    `text` may also be a tuple of field names: the text is then made of those that exist, repaired and joined by spaces.
    `group` names the source record of the row: all rows of a group are on the same side of every split.
    `split` (train, valid, test) is the source's own, if it has one. `drop` is the reason why the cleaner leaves
    the row out; such a row is counted, not written. `repaired` names the kinds of repair that the cleaner itself did.
    `original` is the text that the original project's rule would keep of this row, whether or not the row is kept here.
    """

    text: str | tuple[str, ...]
    group: str
    label: str | None = None
    split: str | None = None
    fields: dict = field(default_factory=dict)
    drop: str | None = None
    repaired: tuple[str, ...] = ()
    original: str | None = None


def original_text(text: str, least: int) -> str | None:
    """A text as the original project kept it: white space collapsed; None if fewer than `least` characters are left.

    >>> original_text(" two\\n words ", 9), original_text("two words", 10)
    ('two words', None)
    """
    text = " ".join(text.split())
    return text if len(text) >= least else None
