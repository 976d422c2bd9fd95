"""A model's tokenizer, as transformers reads it from its files, and its special tokens.

AutoTokenizer is the reference: it knows every layout in which encoders are published (tokenizer.json, vocab.txt,
vocab.json with merges.txt, SentencePiece) and what tokenizer_config.json changes in them (casing, a space before the
text). There is one exception: if no file says whether a vocab.txt is cased, AutoTokenizer lowercases, whereas here a
vocabulary with capitals is read as cased.
"""

import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from dapt.core.files import read_json, refuse_pointers
from dapt.telling.errors import UserError, short

FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")  # saved next to the weights
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.tiktoken")  # at least one must exist
SPELLINGS = {  # if no file names the special tokens
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
}
INSTEAD = {"cls": "bos", "sep": "eos"}  # the names of these two in tokenizers of generative models
PROBE = ["The Patient's naïve Müller had 3.5 mg/kg (TNF-α), X-ray: 東京 か 가나 İ ΑΣ #1", "patient has", " patient has"]
CASED = 0.01  # share of tokens with capitals above which a vocabulary is cased: in BERT's it is a third, or none


@dataclass(frozen=True)
class Special:
    """What masked-language modelling needs to know about a tokenizer."""

    vocabulary: int
    cls: int
    sep: int
    mask: int
    pad: int
    never: tuple[int, ...] = ()  # the unknown token and all special tokens, which are never predicted
    longest: int | None = None  # tokens of the longest text for which it says it is made

    def known(self, ids: np.ndarray) -> np.ndarray:
        """Which tokens may be predicted: those neither unknown nor special; bool of the shape of `ids`."""
        return ~np.isin(ids, self.never)


def load_tokenizer(folder: Path) -> tuple[Tokenizer, Special]:
    """The tokenizer of a model folder, without truncation or padding, and its special ids."""
    auto = _read(folder)
    if reason := _unlike_its_file(folder, auto):
        print(f"{folder}: tokenizer.json and tokenizer_config.json differ: {reason}", file=sys.stderr)
    tokenizer = auto.backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids: dict[str, int] = {}
    for name in ("cls", "sep", "mask", "pad"):
        number = _special(auto, name)
        if number is None:
            raise UserError(
                f"the tokenizer of {folder} has no {name} token, which masked-language modelling needs; use another base"
            )
        ids[name] = number
    longest = auto.model_max_length if auto.model_max_length < 10**20 else None  # transformers writes 10^30 for none
    unknown = _special(auto, "unk")
    never = {*ids.values(), *auto.all_special_ids, *([] if unknown is None else [unknown])}
    return tokenizer, Special(len(auto), **ids, never=tuple(sorted(never)), longest=longest)


def write_tokenizer(source: Path, folder: Path) -> None:
    """Write the tokenizer of `source` to `folder` as a tokenizer.json from which AutoTokenizer gives the same ids."""
    auto = _read(source)
    if (source / "tokenizer.json").is_file() and not _unlike_its_file(source, auto):
        copy_tokenizer(source, folder)
    else:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        auto.save_pretrained(folder)
    again = _read(folder)
    if _ids(again.backend_tokenizer) != _ids(auto.backend_tokenizer) or any(
        _special(again, name) != _special(auto, name) for name in SPELLINGS
    ):
        raise UserError(
            f"the tokenizer of {source} gives other ids after it was saved: transformers cannot write it as a "
            "tokenizer.json; use another base"
        )


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the tokenizer's files unchanged."""
    for name in FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _read(folder: Path) -> PreTrainedTokenizerFast:
    if not any(any(folder.glob(name)) for name in VOCABULARIES):
        raise UserError(f"{folder} has no tokenizer (none of {', '.join(VOCABULARIES)}); add one to the base's files")
    refuse_pointers(folder)
    if (folder / "vocab.json").is_file() and not any(
        (folder / name).is_file() for name in ("tokenizer.json", "merges.txt")
    ):
        raise UserError(f"{folder} has a vocab.json but no merges.txt; add merges.txt to the base's files")
    transformers_logging.set_verbosity_error()
    cased = _is_cased_and_says_nothing(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            auto: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                **({"do_lower_case": False} if cased else {}),
            )
    except Exception as error:  # for a damaged file the libraries raise all kinds of errors, even Exception itself
        raise UserError(f"the tokenizer of {folder} cannot be loaded ({short(error)}); fetch it again") from error
    if not isinstance(auto, PreTrainedTokenizerFast):
        raise UserError(
            f"the tokenizer of {folder} is a {type(auto).__name__}, which exists only as Python code and cannot be "
            "written as a tokenizer.json; use another base"
        )
    if cased:
        print(
            f"{folder}: its vocab.txt has capitals and no file sets do_lower_case, so it is read as cased (AutoTokenizer "
            "by default would lowercase)",
            file=sys.stderr,
        )
    return auto


def _is_cased_and_says_nothing(folder: Path) -> bool:
    """Whether a vocab.txt has capitals, and neither a tokenizer.json nor tokenizer_config.json says what to do."""
    path, settings = folder / "vocab.txt", folder / "tokenizer_config.json"
    if not path.is_file() or (folder / "tokenizer.json").is_file():
        return False
    if settings.is_file() and "do_lower_case" in read_json(settings):
        return False
    tokens = path.read_text(encoding="utf-8", errors="replace").splitlines()
    words = [token for token in tokens if not token.startswith(("[", "<"))]  # [CLS], [unused1], <s>
    return sum(token != token.lower() for token in words) > CASED * len(words)


def _special(auto: PreTrainedTokenizerFast, name: str) -> int | None:
    """The id of a special token, named in the tokenizer's settings or else found by its usual spelling."""
    for known in (name, INSTEAD.get(name, name)):
        number: int | None = getattr(auto, f"{known}_token_id")
        if number is not None:
            return number
    found = (auto.backend_tokenizer.token_to_id(spelling) for spelling in SPELLINGS[name])
    return next((number for number in found if number is not None), None)


def _ids(tokenizer: Tokenizer) -> list[list[int]]:
    """The token ids of the probe texts."""
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in PROBE]


def _unlike_its_file(folder: Path, auto: PreTrainedTokenizerFast) -> str | None:
    """Why tokenizer.json alone gives other ids than AutoTokenizer, which also reads tokenizer_config.json; None if they
    agree or there is no tokenizer.json."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    alone = Tokenizer.from_file(str(path))
    alone.no_truncation()
    if _ids(alone) == _ids(auto.backend_tokenizer):
        return None
    file, used = json.loads(alone.to_str()), json.loads(auto.backend_tokenizer.to_str())
    for name, reason in (
        ("lowercase", "casing"),
        ("strip_accents", "accents"),
        ("add_prefix_space", "a space before the text"),
    ):
        one, other = ([part[name] for part in _parts(spec) if name in part] for spec in (file, used))
        if one != other:
            return f"{reason} ({name} is {one[0] if one else 'not set'} in tokenizer.json; {other[0] if other else 'not set'} is used, as by AutoTokenizer)"
    place = next(
        (name for name in ("normalizer", "pre_tokenizer", "model") if file[name] != used[name]), "added_tokens"
    )
    return f"the {place} differs; that of AutoTokenizer is used"


def _parts(spec: Any) -> Iterator[dict]:
    """The normalizers and pre-tokenizers in a tokenizer's JSON, including nested ones."""
    for name in ("normalizer", "pre_tokenizer"):
        part = spec.get(name) or {}
        yield part
        yield from part.get("normalizers", [])
        yield from part.get("pretokenizers", [])


def continuations(tokenizer: Tokenizer) -> np.ndarray:
    """Whether each token continues the word before it, bool [vocabulary]. WordPiece marks such tokens with its prefix (##);
    byte-level BPE and SentencePiece mark all other tokens, with the character that they write for a space.
    """
    spec = json.loads(tokenizer.to_str())
    marked = spec["model"]["type"] == "WordPiece"
    mark = spec["model"]["continuing_subword_prefix"] if marked else _space(spec)
    if not mark:
        raise UserError(
            "this tokenizer marks neither the beginnings nor the continuations of words; set train.whole_words to false"
        )
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    spellings = [tokenizer.id_to_token(number) or "" for number in range(size)]
    return np.array([spelling.startswith(mark) for spelling in spellings]) == marked


def _space(spec: dict) -> str | None:
    """The character for a space in the tokens of a model other than WordPiece."""
    for part in _parts(spec):
        if part.get("type") == "ByteLevel":
            return "Ġ"
        if part.get("type") == "Metaspace":
            return part["replacement"]
        if part.get("type") == "Replace" and part["pattern"].get("String") == " ":  # Gemma's, and so mmBERT's
            return part["content"]
    return None
