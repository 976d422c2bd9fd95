"""A stand-in for WikiText-103, raw: a line per row, tokenised, with headings and empty rows."""

import re

from rehearsal.stand_in import StandIn, parquet, scaled
from rehearsal.text import Words, rng_of

BLOCK = 100_000  # different rows; the profile reads the first 60,000
READ = 60_000
PUNCTUATION, HYPHEN = re.compile(r"(?<=\w)([.,;:])(?= |$)"), re.compile(r"(?<=\w)-(?=\w)")
NUMBER = re.compile(r"(?<=\d)([.,])(?=\d)")


def wikitext(words: Words, scale: float = 1.0) -> StandIn:
    files, record = {}, {"rows": 0, "read": 0, "empty": 0, "headings": 0, "paragraphs": 0}
    for side, number in scaled(scale, train=900_000, validation=3_760).items():
        rows, kinds = _rows(words, side, min(number, BLOCK))
        times = number // len(rows)
        number_of_files = 2 if side == "train" else 1
        name = f"wikitext-103-raw-v1/{side}-00000-of-0000{number_of_files}.parquet"
        files[name] = parquet({"text": rows}, times)
        record["rows"] += times * len(rows)
        record["read"] += len(kinds[:READ])
        for kind in ("empty", "headings", "paragraphs"):
            record[kind] += kinds[:READ].count(kind)
    return StandIn("datasets/Salesforce/wikitext", files, record)


def _rows(words: Words, side: str, number: int) -> tuple[list[str], list[str]]:
    """Articles of one to twelve sections, and what kind of row each is."""
    rng = rng_of(f"wikitext {side}")
    paragraphs = iter(words.texts(number, 84, 60))
    titles = iter(words.short(number, 25))
    found: list[tuple[str, str]] = []
    while len(found) < number:
        for section in range(int(rng.integers(1, 13))):
            title = next(titles).strip(".,;:")
            heading = f" = = {title} = = \n" if section else f" = {title} = \n"
            found += [("", "empty"), (heading, "headings"), ("", "empty")]
            found += [(tokenised(next(paragraphs)), "paragraphs") for _ in range(int(rng.integers(1, 6)))]
    found = found[:number]
    return [row for row, _ in found], [kind for _, kind in found]


def tokenised(text: str) -> str:
    """A paragraph as WikiText writes it.

    >>> tokenised("In 1,500 well-known cases, it rose.")
    ' In 1 @,@ 500 well @-@ known cases , it rose . \\n'
    """
    return " " + HYPHEN.sub(" @-@ ", NUMBER.sub(r" @\1@ ", PUNCTUATION.sub(r" \1", text))) + " \n"
