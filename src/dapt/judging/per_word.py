"""The loss per word, by which models with different tokenizers can be compared.

Words are separated by white space. Whether a word is masked is a function of the seed, the document and the word's place,
whatever the tokenizer. All its pieces are replaced by [MASK] at once; their losses are summed and divided by the number of
words. Every model predicts exactly the same words and reads the same text: of each document the longest beginning of whole
words that fits into one window under every tokenizer. Words that are unknown to one of the tokenizers, or special tokens of
it, are not predicted.
"""

import re
import sys
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from dapt.core.config import Evaluate, Unknown
from dapt.judging.inputs import JudgedModel, counted, group_of, models, settings, share_unknown, show, texts
from dapt.judging.masked_loss import key, predictions
from dapt.judging.statistics import paired_intervals
from dapt.mlm.tokens import Tokens
from dapt.model.tokenizer import Special

WORD = re.compile(r"\S+")


def spans(text: str) -> np.ndarray:
    """Where each word begins and ends in the text, int64 [words, 2]."""
    return np.array([match.span() for match in WORD.finditer(text)], np.int64).reshape(-1, 2)


def encoded(tokenizer: Tokenizer, documents: list[str]) -> list[Encoding]:
    return tokenizer.encode_batch(documents, add_special_tokens=False)


def beginning(text: str, encodings: list[Encoding], most: int) -> str:
    """The longest beginning of whole words that has at most `most` tokens in every encoding of the text."""
    full = min((encoding.offsets[most][0] for encoding in encodings if len(encoding) > most), default=len(text))
    ends = spans(text)[:, 1]
    return text[: ends[ends <= full].max(initial=0)]


def word_of(encoding: Encoding, words: np.ndarray) -> np.ndarray:
    """The word to which each token belongs, int64 [tokens]; -1 if to none, such as white space."""
    begins, ends = np.array(encoding.offsets, np.int64).reshape(-1, 2).T
    word = np.searchsorted(words[:, 1], begins, side="right")
    inside = word < len(words)
    inside[inside] = words[word[inside], 0] < ends[inside]
    return np.where(inside, word, -1)


def known(special: Special, encoding: Encoding, of: np.ndarray, words: int) -> np.ndarray:
    """Which words have tokens of which none is unknown or special; bool [words]."""
    unknown = ~special.known(np.array(encoding.ids, np.int64))
    there, strange = (np.zeros(words, bool) for _ in range(2))
    there[of[of >= 0]] = True
    strange[of[unknown & (of >= 0)]] = True
    return there & ~strange


def asked(row: dict, words: int, how: Evaluate) -> np.ndarray:
    """Which of a document's words are masked, bool [words]."""
    rng = np.random.Generator(np.random.Philox(key=[how.seed, key(row)]))
    return rng.random(words) < how.mask


def losses(
    one: JudgedModel, encodings: list[Encoding], of: list[np.ndarray], masked: list[np.ndarray], how: Evaluate
) -> np.ndarray:
    """The loss of each word of all documents, float64 [words], 0 if it is not predicted; `of` has the word of each token and
    `masked` the words that are masked, document by document."""
    first = np.cumsum([0, *map(len, masked)])
    word = np.concatenate([np.where(some >= 0, some + start, -1) for some, start in zip(of, first)])
    predicted = (word >= 0) & np.concatenate(masked)[word]
    tokens = Tokens(
        np.array([token for encoding in encodings for token in encoding.ids], np.int64),
        np.cumsum([0, *map(len, encodings)]),
    )
    shown = np.where(predicted, one.special.mask, tokens.ids)
    places, found, _ = predictions(one.masked_lm, tokens, shown, predicted, one.special, how)
    return np.bincount(word[places], found, first[-1])


def run(folders: list[Path], text: Path, most: int | None, as_json: bool, unknown: Unknown = "refuse") -> None:
    judged, rows, how = models(folders), texts(text, most), settings(unknown=unknown)
    documents = [row["text"] for row in rows]
    documents = [
        beginning(document, encodings, how.window - 2)
        for document, *encodings in zip(documents, *(encoded(one.tokenizer, documents) for one in judged))
    ]
    words = [spans(document) for document in documents]
    masked = [asked(row, len(some), how) for row, some in zip(rows, words)]
    drawn = sum(some.sum() for some in masked)
    encodings = [encoded(one.tokenizer, documents) for one in judged]
    shares = [
        share_unknown(one, np.array([token for encoding in of_model for token in encoding.ids], np.int64), text, how)
        for one, of_model in zip(judged, encodings)
    ]
    of = [[word_of(encoding, where) for encoding, where in zip(of_model, words)] for of_model in encodings]
    for one, of_model, places in zip(judged, encodings, of):
        masked = [
            some & known(one.special, encoding, place, len(some))
            for some, encoding, place in zip(masked, of_model, places)
        ]
    group = group_of(rows)
    count = counted(np.bincount(group, [some.sum() for some in masked]), text)
    of_word = np.repeat(group, [len(some) for some in words])
    sums = np.array(
        [
            np.bincount(of_word, losses(one, of_model, places, masked, how), len(count))
            for one, of_model, places in zip(judged, encodings, of)
        ]
    )
    fit, everything = sum(map(len, words)), sum(len(spans(row["text"])) for row in rows)
    print(
        f"{drawn} words masked of {fit} that fit into a window, of {everything} in all; "
        f"{drawn - int(count.sum())} of the masked ones are unknown to a tokenizer and not predicted",
        file=sys.stderr,
    )
    means = sums.sum(1) / count.sum()
    show(
        (
            {
                "model": one.name,
                "word_loss": round(float(mean), 4),
                "word_perplexity": round(float(np.exp(mean)), 2),
                "words": int(count.sum()),
                "unknown": share,
            }
            | paired
            for one, mean, share, paired in zip(judged, means, shares, paired_intervals(sums, count, how.seed))
        ),
        as_json,
    )
