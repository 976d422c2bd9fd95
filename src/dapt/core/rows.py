"""How rows are identified: two texts are the same row if they differ in case and white space alone; rows of one source
record have one group."""

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
    """What a cell says, as text, whatever type its column has: a group, a label, an option. None where it says nothing
    (null, not a number, an empty text) or holds a list or an object. A whole number is one name however it is written:
    pandas writes integers as floats where another row has none.

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
