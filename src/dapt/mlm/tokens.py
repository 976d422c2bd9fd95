"""`dapt tokenize X`: data/split/X/{train,valid}.jsonl → data/tokens/X, once, without [CLS] and [SEP], nothing cut.

A set is two files: SET.bin, the ids of all documents in a row, little-endian (uint16 where the vocabulary fits, else
uint32), and SET.offsets.npy, where each document begins, int64 [documents + 1]. Both are memory-mapped when read.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from dapt.core import config
from dapt.telling.errors import UserError
from dapt.core.files import made_from, read_json, read_lines, whole_file, whole_folder, write_json
from dapt.core.paths import RAW_MODEL, SPLIT, TOKENS

SETS = ("train", "valid")
DOCUMENTS, CHARACTERS = 4096, 1 << 21  # encoded at once, on every core: at most so many, and about so many


@dataclass(frozen=True)
class Special:
    """What masked-language modelling needs to know of a tokenizer."""

    vocabulary: int
    cls: int
    sep: int
    mask: int
    pad: int
    longest: int | None = None  # tokens of a text that it says it is made for


@dataclass(frozen=True)
class Tokens:
    """Documents as ids: document i is ids[offsets[i]:offsets[i + 1]]."""

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1


def load_tokenizer(folder: Path) -> tuple[Tokenizer, Special]:
    """The tokenizer of a model folder, without truncation or padding, and its special ids."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UserError(f"{folder} has no tokenizer.json; add it to the base's files in params.yaml")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises Exception itself
        raise UserError(f"{path} is damaged ({error}); fetch it again") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = {}
    for name, spellings in {"cls": ("[CLS]", "<s>"), "sep": ("[SEP]", "</s>"), "mask": ("[MASK]", "<mask>"),
                            "pad": ("[PAD]", "<pad>")}.items():
        found = [tokenizer.token_to_id(spelling) for spelling in spellings]
        ids[name] = next((number for number in found if number is not None), None)
        if ids[name] is None:
            raise UserError(f"{path} has no {spellings[0]} token, which masked-language modelling needs; take another base")
    return tokenizer, Special(tokenizer.get_vocab_size(with_added_tokens=True), **ids, longest=_longest(folder))


def _longest(folder: Path) -> int | None:
    """model_max_length of tokenizer_config.json; transformers writes 10^30 for none."""
    path = folder / "tokenizer_config.json"
    said = read_json(path).get("model_max_length") if path.is_file() else None
    return said if said and said < 10**20 else None


def goes_on(tokenizer: Tokenizer) -> np.ndarray:
    """Whether a token goes on with the word before it, bool [vocabulary]: WordPiece marks those with ##, byte-level BPE
    and SentencePiece mark the others, with Ġ and ▁.
    """
    spellings = [tokenizer.id_to_token(number) or "" for number in range(tokenizer.get_vocab_size(with_added_tokens=True))]
    for mark, marked in (("##", True), ("Ġ", False), ("▁", False)):
        found = np.array([spelling.startswith(mark) for spelling in spellings])
        if found.any():
            return found == marked
    raise UserError("this tokenizer marks neither beginnings nor continuations of words; set train.whole_words to false")


def encode(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[list[int]]:
    """Ids of each text, in order, without special tokens. One chunk is encoded while the next is read and the one before
    is given out."""
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
    """Encoded in memory: what evaluation does with a held-out set."""
    documents = list(encode(tokenizer, texts))
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    flat = np.fromiter((token for document in documents for token in document), _dtype(special), offsets[-1])
    return Tokens(flat, offsets)


def _dtype(special: Special) -> str:
    return "<u2" if special.vocabulary <= 1 << 16 else "<u4"


@contextmanager
def growing_array(path: Path) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that appends int64 values to a .npy file, whose header, of a fixed length, is written last."""

    def header() -> None:
        np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": (count,)})

    def append(values: np.ndarray) -> None:
        nonlocal count
        file.write(np.asarray(values, "<i8").tobytes())
        count += len(values)

    count = 0
    with whole_file(path, "wb") as file:
        header()
        yield append
        file.seek(0)
        header()


def write_tokens(folder: Path, name: str, documents: Iterable[list[int]], special: Special) -> Tokens:
    """Stream documents to disk; no more than a chunk of them is in memory."""
    with whole_file(folder / f"{name}.bin", "wb") as file, growing_array(folder / f"{name}.offsets.npy") as append:
        end = 0
        append([end])
        for ids in documents:
            file.write(np.asarray(ids, _dtype(special)).tobytes())
            append([end := end + len(ids)])
    return read_tokens(folder, name, special)


def read_tokens(folder: Path, name: str, special: Special) -> Tokens:
    """Memory-mapped, without reading them."""
    offsets = np.load(folder / f"{name}.offsets.npy", mmap_mode="r")
    path = folder / f"{name}.bin"
    ids = np.memmap(path, _dtype(special), "r") if path.stat().st_size else np.zeros(0, _dtype(special))
    if len(ids) != offsets[-1]:
        raise UserError(f"{path} holds {len(ids)} tokens where {offsets[-1]} are expected; run dvc repro tokenize")
    return Tokens(ids, offsets)


def run(domain: str) -> None:
    config.load()
    tokenizer, special = load_tokenizer(RAW_MODEL / "base")
    with whole_folder(TOKENS / domain) as folder:
        counts = {}
        for name in SETS:
            rows = read_lines(SPLIT / domain / f"{name}.jsonl")
            tokens = write_tokens(folder, name, encode(tokenizer, (row["text"] for row in rows)), special)
            counts[name] = {"documents": len(tokens), "tokens": int(tokens.offsets[-1])}
            print(f"{domain}/{name}: {counts[name]['documents']} documents, {counts[name]['tokens']} tokens")
        write_json(folder / "tokens.json", counts | {"made_from": made_from(SPLIT / domain)})
