"""The input and output of each way of judging: models and texts, paired differences, one JSON object per model."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from dapt.core.config import Evaluate, Unknown
from dapt.core.rows import scalar_name
from dapt.corpus.tables import file_format, text_file
from dapt.corpus.tables import rows as table_rows
from dapt.judging.masked_loss import loaded
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.tokens import unknown_share
from dapt.model.tokenizer import Special
from dapt.telling.errors import UserError


@dataclass(frozen=True)
class JudgedModel:
    """A model to be judged, with its own tokenizer."""

    name: str
    masked_lm: MaskedLM
    tokenizer: Tokenizer
    special: Special


def settings(draws: int = 1, unknown: Unknown = "refuse") -> Evaluate:
    """Masks with seed 1, and with the following seeds for further draws; `unknown` is evaluate.unknown in a profile."""
    if draws < 1:
        raise UserError(f"--draws is {draws}, but must be at least 1")
    threads = torch.get_num_threads()
    return Evaluate(mask=0.15, draws=draws, window=128, batch=32, threads=threads, seed=1, unknown=unknown)


def models(folders: list[Path]) -> list[JudgedModel]:
    return [JudgedModel(str(folder), *loaded(folder, settings())) for folder in folders]


def models_of_one_tokenizer(folders: list[Path]) -> list[JudgedModel]:
    """Refuse models with different tokenizers: their losses per token cannot be compared."""
    first, *others = found = models(folders)
    if other := next((other for other in others if other.tokenizer.to_str() != first.tokenizer.to_str()), None):
        raise UserError(
            f"{first.name} and {other.name} have different tokenizers, so their losses per token cannot be "
            "compared; compare the losses per word with --words"
        )
    return found


def texts(path: Path, most: int | None) -> list[dict]:
    """Text and group of the first `most` rows of a file, or of all, in any format that `dapt clean` reads. A row without a
    group is a group of its own; rows without a text are left out, with a notice."""
    if most is not None and most < 1:
        raise UserError(f"--most is {most}, but must be at least 1")
    rows: list[dict[str, Any]] = [
        {"text": row.get("text"), "group": scalar_name(row.get("group")) or f"row {number}"}
        for number, row in enumerate(islice(_rows(path), most), 1)
    ]
    found = [row for row in rows if isinstance(row["text"], str)]
    if not any(row["text"].strip() for row in found):
        raise UserError(f"{path} contains no text; a .txt must have a non-empty line, a table a column named text")
    if len(found) < len(rows):
        print(f"{path}: {len(rows) - len(found)} of {len(rows)} rows contain no text and are left out", file=sys.stderr)
    return found


def _rows(path: Path) -> Iterator[dict]:
    """Each line of a .txt, or each row of a table."""
    if file_format(path) == ".txt":
        with text_file(path) as file:
            yield from ({"text": line} for line in file)
    else:
        yield from table_rows(path, ("text",), optional=("group",))


def group_of(rows: list[dict]) -> np.ndarray:
    """The number of each row's group, int64 [rows], in the order of their names."""
    return np.unique([row["group"] for row in rows], return_inverse=True)[1]


def share_unknown(one: JudgedModel, ids: np.ndarray, text: Path, how: Evaluate) -> float:
    """The share of a text's tokens that the model's tokenizer does not know; a large share is printed, and one so large that
    no loss would mean anything is refused."""
    return unknown_share(ids, one.special, f"{text} under the tokenizer of {one.name}", how.unknown == "allow")


def counted(counts: np.ndarray, text: Path) -> np.ndarray:
    """The predictions per group; refused if there are none, because then there is no loss."""
    if not counts.sum():
        raise UserError(f"{text} has nothing to predict: it is too short, or unknown to the tokenizer; use more text")
    return counts


def show(results: Iterable[dict], as_json: bool) -> None:
    """Print one object per line, or one figure per line, with – for a figure that does not exist."""
    for result in results:
        told = (f"{name}: {'–' if value is None else value}" for name, value in result.items())
        print(json.dumps(result, allow_nan=False) if as_json else "\n".join(told))
