"""How rows are identified: two texts are the same row if they differ only in case and white space; rows of the same source
record share a group."""

import hashlib
import math
from datetime import date, datetime, time
from decimal import Decimal


def normal(text: str) -> str:
    """The form in which two texts count as equal: case-folded, white space collapsed."""
    return " ".join(text.casefold().split())


def text_id(text: str) -> str:
    """64 bits of the SHA-256 of the normalised text, in hexadecimal."""
    return hashlib.sha256(normal(text).encode()).hexdigest()[:16]


def scalar_name(value: object) -> str | None:
    """The value of a cell as text, whatever the type of its column: a group, a label, an option. None if the cell is empty
    (null, NaN, an empty text) or contains a list or an object. A whole number gives the same text however it is written:
    pandas writes integers as floats if another row of the column is empty.

    >>> [scalar_name(value) for value in (7, 7.0, "7", 7.5, None, float("nan"), "", [7])]
    ['7', '7', '7', '7.5', None, None, None, None]
    """
    match value:
        case bool() | date() | datetime() | time():
            return str(value)
        case float() | Decimal() if math.isnan(value):
            return None
        case float() | Decimal() if math.isfinite(value) and value == int(value):
            return str(int(value))
        case int() | float() | Decimal():
            return str(value)
        case str():
            return value or None
        case bytes():
            return value.hex() or None
    return None
