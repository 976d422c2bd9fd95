"""Pseudo-log-likelihood: each token is predicted with all others visible (Salazar et al. 2020) and, in a second figure,
with the rest of its own word to the right masked too, so that a word's later pieces do not reveal it (Kauf & Ivanova 2023,
within_word_l2r). Pseudo-perplexity is the exponential of its negative mean over all tokens of the texts.

Each masked copy of a text is read once: one forward pass per token, and another for each token that does not end its word.
A text longer than a window is cut into pieces.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dapt.core.config import Evaluate, Unknown
from dapt.judging.inputs import (
    JudgedModel,
    counted,
    group_of,
    models_of_one_tokenizer,
    settings,
    share_unknown,
    show,
    texts,
)
from dapt.judging.masked_loss import predictions
from dapt.judging.statistics import paired_intervals
from dapt.mlm.tokens import Tokens
from dapt.telling.progress import Progress

AT_ONCE = 1 << 18  # tokens of masked copies


@dataclass(frozen=True)
class Piece:
    """A part of the text of a row: its ids and the number of the word to which each belongs, both int64 [tokens]."""

    row: int
    ids: np.ndarray
    words: np.ndarray
    known: np.ndarray  # bool [tokens]: neither unknown nor special, so its loss counts

    @property
    def goes_on(self) -> np.ndarray:
        """The tokens that another token of the same word follows."""
        return np.flatnonzero(self.words[:-1] == self.words[1:])

    @property
    def copies(self) -> int:
        return len(self.ids) + len(self.goes_on)


def pieces(one: JudgedModel, rows: list[dict], longest: int) -> list[Piece]:
    """The texts of the rows; those longer than `longest` tokens in several pieces."""
    found = []
    encodings = one.tokenizer.encode_batch([row["text"] for row in rows], add_special_tokens=False)
    for number, encoding in enumerate(encodings):
        ids, words = np.array(encoding.ids, np.int64), np.array(encoding.word_ids, np.int64)
        known = one.special.known(ids)
        found += [
            Piece(number, *(array[start : start + longest] for array in (ids, words, known)))
            for start in range(0, len(ids), longest)
        ]
    return found


def masks(piece: Piece) -> tuple[np.ndarray, np.ndarray]:
    """For each masked copy of a piece, which tokens are masked and which one is predicted, bool [copies, tokens]: first one
    copy per token, masked alone, then one per token of `goes_on`, masked with the rest of its word."""
    alone = np.eye(len(piece.ids), dtype=bool)
    rest = np.triu(piece.words[:, None] == piece.words)
    return np.concatenate([alone, rest[piece.goes_on]]), np.concatenate([alone, alone[piece.goes_on]])


def together(found: list[Piece]) -> Iterator[list[Piece]]:
    """Batches of pieces whose copies have about AT_ONCE tokens together."""
    some, size = [], 0
    for piece in found:
        some.append(piece)
        size += piece.copies * len(piece.ids)
        if size >= AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def losses(one: JudgedModel, some: list[Piece], how: Evaluate) -> Iterator[tuple[Piece, np.ndarray, np.ndarray]]:
    """Each piece with the losses of its tokens under the two ways of masking, float64 [tokens]."""
    copies = np.concatenate([np.tile(piece.ids, piece.copies) for piece in some])
    lengths = np.concatenate([np.full(piece.copies, len(piece.ids)) for piece in some])
    hidden, asked = (np.concatenate([array.flatten() for array in arrays]) for arrays in zip(*map(masks, some)))
    tokens = Tokens(copies, np.cumsum([0, *lengths]))
    shown = np.where(hidden, one.special.mask, copies)
    places, found, _ = predictions(one.masked_lm, tokens, shown, asked, one.special, how)
    found = found[np.argsort(places)]  # one per copy, in the order of the copies
    for piece, of_piece in zip(some, np.split(found, np.cumsum([piece.copies for piece in some])[:-1])):
        alone = of_piece[: len(piece.ids)]
        with_rest = alone.copy()
        with_rest[piece.goes_on] = of_piece[len(piece.ids) :]
        yield piece, alone, with_rest


def sums(one: JudgedModel, found: list[Piece], group: np.ndarray, how: Evaluate) -> np.ndarray:
    """The losses summed over groups, under the two ways of masking, float64 [2, groups]."""
    total, parts = np.zeros((2, group.max() + 1)), list(together(found))
    progress = Progress(one.name, len(parts), unit="passes")
    for some in parts:
        for piece, *ways in losses(one, some, how):
            total[:, group[piece.row]] += [way[piece.known].sum() for way in ways]
        progress.advance(sum(piece.copies for piece in some))
    progress.close()
    return total


def run(folders: list[Path], text: Path, most: int | None, as_json: bool, unknown: Unknown = "refuse") -> None:
    judged, rows, how = models_of_one_tokenizer(folders), texts(text, most), settings(unknown=unknown)
    group, found = group_of(rows), pieces(judged[0], rows, how.window - 2)
    ids = np.concatenate([np.zeros(0, np.int64), *(piece.ids for piece in found)])
    share = share_unknown(judged[0], ids, text, how)
    count = counted(
        np.bincount([group[piece.row] for piece in found], [piece.known.sum() for piece in found], group.max() + 1),
        text,
    )
    passes = sum(piece.copies for piece in found)
    print(
        f"{len(rows)} texts, {int(count.sum())} tokens: {passes} forward passes per model",
        file=sys.stderr,
    )
    by_way = np.stack([sums(one, found, group, how) for one in judged], axis=1)
    plain, within = (
        list(zip(of_way.sum(1) / count.sum(), paired_intervals(of_way, count, how.seed))) for of_way in by_way
    )
    show(
        (
            {"model": one.name, "tokens": int(count.sum()), "unknown": share}
            | figures(*plain[number])
            | {"within_word": figures(*within[number])}
            for number, one in enumerate(judged)
        ),
        as_json,
    )


def figures(mean: float, paired: dict) -> dict:
    return {"loss": round(float(mean), 4), "pseudo_perplexity": round(float(np.exp(mean)), 2)} | paired
