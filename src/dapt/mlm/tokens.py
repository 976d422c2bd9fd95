"""Documents as token ids, without [CLS] and [SEP] and not truncated; and the share of tokens that a tokenizer does not know.

A set has two files: SET.bin, the ids of all documents one after the other, little-endian (uint16 if the vocabulary fits,
else uint32), and SET.offsets.npy, where each document begins, int64 [documents + 1]. Both are memory-mapped when read.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from dapt.core.files import whole_file
from dapt.model.tokenizer import Special
from dapt.telling.errors import UserError

DOCUMENTS, CHARACTERS = 4096, 1 << 21  # encoded at once, on all cores: the most documents, about so many characters
AT_ONCE = 1 << 24  # tokens of a memory-mapped set that are counted at once
WARNED, REFUSED = 0.05, 0.3  # shares of unknown tokens


@dataclass(frozen=True)
class Tokens:
    """Documents as ids: document i is ids[offsets[i]:offsets[i + 1]]."""

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1


def token_files(folder: Path, name: str) -> tuple[Path, Path]:
    """The two files of a set: ids and offsets."""
    return folder / f"{name}.bin", folder / f"{name}.offsets.npy"


def encode(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[list[int]]:
    """Ids of each text, in order, without special tokens. One chunk is encoded while the next is read and the previous one
    is used."""
    encode_chunk = partial(tokenizer.encode_batch_fast, add_special_tokens=False)
    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(encode_chunk, [])
        for chunk in chain(_chunks(texts), [[]]):
            ready, ahead = ahead, thread.submit(encode_chunk, chunk)
            yield from (encoding.ids for encoding in ready.result())


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk, characters = [], 0
    for text in texts:
        chunk.append(text)
        characters += len(text)
        if len(chunk) == DOCUMENTS or characters >= CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def encode_tokens(tokenizer: Tokenizer, special: Special, texts: Iterable[str]) -> Tokens:
    """Encode texts in memory, as evaluation does with a held-out set."""
    documents = list(encode(tokenizer, texts))
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    flat = np.fromiter((token for document in documents for token in document), _dtype(special), offsets[-1])
    return Tokens(flat, offsets)


def _dtype(special: Special) -> str:
    return "<u2" if special.vocabulary <= 1 << 16 else "<u4"


@contextmanager
def growing_array(path: Path) -> Iterator[Callable[[np.ndarray | Sequence[int]], None]]:
    """A function that appends int64 values to a .npy file; the header has a fixed length and is written last."""
    count = 0

    def header() -> None:
        np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": (count,)})

    def append(values: np.ndarray | Sequence[int]) -> None:
        nonlocal count
        file.write(np.asarray(values, "<i8").tobytes())
        count += len(values)

    with whole_file(path, "wb") as file:
        header()
        yield append
        file.seek(0)
        header()


def write_tokens(folder: Path, name: str, documents: Iterable[list[int]], special: Special) -> Tokens:
    """Stream documents to disk; at most one chunk of them is in memory."""
    path, offsets = token_files(folder, name)
    with whole_file(path, "wb") as file, growing_array(offsets) as append:
        end = 0
        append([end])
        for ids in documents:
            file.write(np.asarray(ids, _dtype(special)).tobytes())
            append([end := end + len(ids)])
    return read_tokens(folder, name, special)


def read_tokens(folder: Path, name: str, special: Special) -> Tokens:
    """A set from disk, memory-mapped without reading it."""
    path, places = token_files(folder, name)
    offsets = np.load(places, mmap_mode="r")
    ids = np.memmap(path, _dtype(special), "r") if path.stat().st_size else np.zeros(0, _dtype(special))
    if len(ids) != offsets[-1]:
        raise UserError(f"{path} contains {len(ids)} tokens instead of {offsets[-1]}; run dvc repro tokenize")
    return Tokens(ids, offsets)


def unknown_share(ids: np.ndarray, special: Special, where: str, allow: bool) -> float:
    """The share of a text's tokens [tokens] that are unknown or special to its tokenizer; 0 for an empty text. A large share
    is printed; one so large that a loss would mean nothing is refused, unless it is allowed."""
    parts = (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
    share = round(sum(int((~special.known(part)).sum()) for part in parts) / max(1, len(ids)), 4)
    if share <= WARNED:
        return share
    found = f"{where}: {100 * share:.1f} % of the tokens are unknown to the tokenizer"
    if share > REFUSED and not allow:
        raise UserError(
            f"{found}, so that a loss would say little about the text; use a base whose vocabulary covers its script, or "
            "set evaluate.unknown to allow (--unknown allow for dapt evaluate --model)"
        )
    print(f"{found}; they are never predicted, so the loss says nothing about them", file=sys.stderr)
    return share
