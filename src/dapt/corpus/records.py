"""What every cleaner yields, and what every row of data/processed holds."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Record:
    """One row of a source, before repair.

    `text` may be the names of fields instead: repaired and joined by a space, those there are make up the text.
    `group` names the source record that it comes from: all rows of a group lie on one side of every split.
    `split` (train, valid, test) is the source's own, where it has one. `drop` is the reason why the cleaner leaves
    the row out; such a row is counted, not written. `repaired` names the kinds of repair that the cleaner itself did.
    `original` is the text that the original project's rule would keep of this row, whatever becomes of the row here.
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
    """What the original project kept of a text: white space collapsed, where `least` characters are left; else None.

    >>> original_text(" two\\n words ", 9), original_text("two words", 10)
    ('two words', None)
    """
    text = " ".join(text.split())
    return text if len(text) >= least else None
