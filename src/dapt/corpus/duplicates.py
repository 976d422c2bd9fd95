"""Finds texts that were seen before: equal ones, similar ones (MinHash over pairs of words, Broder 1997) and those with a
shared run of words (GPT-3's decontamination, Brown et al. 2020, appendix C).
"""

import re
from collections import Counter
from functools import cached_property
from itertools import pairwise, permutations

import numpy as np
from rensa import RMinHash, RMinHashLSH

from dapt.core.rows import text_id

# Scripts without spaces between words: Thai, Lao, Myanmar, Khmer, kana, and Han with its extensions.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U000323af"
)
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
BASE = np.uint64(0x9E3779B97F4A7C15)  # any odd number with many bits set
HELD_OUT, TEST_ROW = "held-out text", "a test row"  # the kinds of guarded text
PERMUTATIONS, BANDS = 128, 32  # four hashes per band: pairs at Jaccard 0.7 are found with probability 1 - (1 - .7^4)^32


def words(text: str) -> list[str]:
    """The words of a text, case-folded; in a script without spaces between words, each character is one.

    >>> words("BRCA1-Gene 基因")
    ['brca1', 'gene', '基', '因']
    """
    return WORD.findall(text.casefold())


def pairs(words: list[str]) -> list[str]:
    """The pairs of neighbouring words, by which near duplicates are measured; for a one-word text, the word."""
    return [f"{a} {b}" for a, b in pairwise(words)] or words


def runs(words: list[str], length: int) -> list[int]:
    """A hash of each run of `length` words, comparable within one process: a polynomial in BASE, modulo 2^64, of the words'
    hashes (Karp & Rabin 1987)."""
    count = max(0, len(words) - length + 1)
    hashes = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
    found = np.zeros(count, np.uint64)
    for place in range(length if count else 0):
        found *= BASE
        found += hashes[place : place + count]
    return found.tolist()


class Prepared:
    """A text and what it is found by, each computed once, however often and in however many places it is looked for."""

    def __init__(self, text: str):
        self.text = text

    @cached_property
    def name(self) -> bytes:
        """8 bytes of the text's hash."""
        return bytes.fromhex(text_id(self.text))

    @cached_property
    def words(self) -> list[str]:
        return words(self.text)

    @cached_property
    def sketch(self) -> RMinHash:
        sketch = RMinHash(PERMUTATIONS, 0)
        sketch.update(pairs(self.words))
        return sketch

    def runs(self, length: int) -> list[int]:
        return runs(self.words, length)


class Seen:
    """The texts seen so far, found again by equality, similarity or a shared run of words."""

    def __init__(self, similar: float, overlap: int):
        """`similar`: Jaccard similarity of two near duplicates; `overlap`: words in a shared run that counts as a leak."""
        self.similar, self.overlap = similar, overlap
        self.texts: dict[bytes, int] = {}  # name of a text → its number
        self.index = RMinHashLSH(similar, PERMUTATIONS, BANDS)
        self.sketches: list[RMinHash] = []
        self.runs: dict[str, set[int]] = {}  # kind of guarded text → hashes of its runs of words
        self.corpora: list[str | None] = []  # of each text, by its number; None for a test row
        self.twins: dict[int, Counter[str]] = {}  # number of a text → corpora of later texts like it

    def twin(self, text: Prepared, corpus: str) -> str | None:
        """How this text, of `corpus`, resembles an earlier one; if none does, None, and the text is remembered."""
        number = self._like(text)
        if number is None:
            self._insert(text, corpus)
            return None
        self.twins.setdefault(number, Counter())[corpus] += 1
        how = "equal text" if text.name in self.texts else "near duplicate"
        return how if self.corpora[number] else f"{how} of {TEST_ROW}"

    def _like(self, text: Prepared) -> int | None:
        """The number of an earlier text that is equal or nearly equal."""
        if text.name in self.texts:
            return self.texts[text.name]
        near = (
            number
            for number in sorted(self.index.query(text.sketch))
            if text.sketch.jaccard(self.sketches[number]) >= self.similar
        )
        return next(near, None)

    def guard(self, text: Prepared, what: str = TEST_ROW) -> None:
        """Guard a text of the kind `what`: no later text may resemble it or share a run of words with it."""
        self.runs.setdefault(what, set()).update(text.runs(self.overlap))
        if text.name not in self.texts:
            self._insert(text, None)

    def leaks(self, text: Prepared) -> bool:
        """Whether this text resembles a guarded one, or shares a run of words with one."""
        return self._like(text) is not None or self.shares(text) is not None

    def shares(self, text: Prepared) -> str | None:
        """The kind of guarded text that shares a run of words with this one, or None."""
        found = text.runs(self.overlap)
        return next((what for what, guarded in self.runs.items() if not guarded.isdisjoint(found)), None)

    def _insert(self, text: Prepared, corpus: str | None) -> None:
        self.texts[text.name] = number = len(self.sketches)
        self.index.insert(number, text.sketch)
        self.sketches.append(text.sketch)
        self.corpora.append(corpus)

    def held_by(self) -> Counter[tuple[str, str]]:
        """(one, other) → how many texts of corpus `one` are also in corpus `other`, equal or nearly equal."""
        found: Counter[tuple[str, str]] = Counter()
        for number, twins in self.twins.items():
            counts = twins + Counter(filter(None, [self.corpora[number]]))
            for one, other in permutations(counts, 2):
                found[one, other] += counts[one]
        return found
