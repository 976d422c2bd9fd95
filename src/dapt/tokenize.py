"""`dapt tokenize X`: data/split/X/{train,valid}.jsonl → data/tokens/X, once, without [CLS] and [SEP], nothing cut.

A set is two files: SET.bin, the ids of all documents in a row, little-endian (uint16 where the vocabulary fits, else
uint32), and SET.offsets.npy, where each document begins, int64 [documents + 1]. Both are memory-mapped when read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from dapt import config
from dapt.errors import UserError
from dapt.files import made_from, read_json, read_lines, whole_file, whole_folder, write_json
from dapt.paths import RAW_MODEL, SPLIT, TOKENS

SETS = ("train", "valid")
CHUNK = 4096  # documents encoded at once, on every core


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
    """Ids of each text, in order, without special tokens."""
    texts = iter(texts)
    while chunk := list(islice(texts, CHUNK)):
        for encoding in tokenizer.encode_batch_fast(chunk, add_special_tokens=False):
            yield encoding.ids


def encode_tokens(tokenizer: Tokenizer, special: Special, texts: Iterable[str]) -> Tokens:
    """Encoded in memory: what evaluation does with a held-out set."""
    documents = list(encode(tokenizer, texts))
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    flat = np.fromiter((token for document in documents for token in document), _dtype(special), offsets[-1])
    return Tokens(flat, offsets)


def _dtype(special: Special) -> str:
    return "<u2" if special.vocabulary <= 1 << 16 else "<u4"


def write_tokens(folder: Path, name: str, documents: Iterable[list[int]], special: Special) -> Tokens:
    """Stream documents to disk; no more than a chunk of them is in memory."""
    lengths = []
    with whole_file(folder / f"{name}.bin", "wb") as file:
        for ids in documents:
            file.write(np.asarray(ids, _dtype(special)).tobytes())
            lengths.append(len(ids))
    with whole_file(folder / f"{name}.offsets.npy", "wb") as file:
        np.save(file, np.cumsum([0, *lengths], dtype=np.int64))
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
