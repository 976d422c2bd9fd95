"""How rows are identified: two texts are the same row if they differ in case and white space alone."""

import hashlib


def normal(text: str) -> str:
    """The form in which two texts count as equal: case-folded, white space collapsed."""
    return " ".join(text.casefold().split())


def text_id(text: str) -> str:
    """64 bits of the SHA-256 of the normalised text, in hexadecimal."""
    return hashlib.sha256(normal(text).encode()).hexdigest()[:16]
