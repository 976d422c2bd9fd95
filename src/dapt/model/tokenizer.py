"""A model's tokenizer and its special tokens."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from dapt.core.files import read_json
from dapt.telling.errors import UserError


@dataclass(frozen=True)
class Special:
    """What masked-language modelling needs to know of a tokenizer."""

    vocabulary: int
    cls: int
    sep: int
    mask: int
    pad: int
    longest: int | None = None  # tokens of a text that it says it is made for


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
    ids: dict[str, int] = {}
    for name, spellings in {
        "cls": ("[CLS]", "<s>"),
        "sep": ("[SEP]", "</s>"),
        "mask": ("[MASK]", "<mask>"),
        "pad": ("[PAD]", "<pad>"),
    }.items():
        found = [tokenizer.token_to_id(spelling) for spelling in spellings]
        number = next((number for number in found if number is not None), None)
        if number is None:
            raise UserError(
                f"{path} has no {spellings[0]} token, which masked-language modelling needs; take another base"
            )
        ids[name] = number
    return tokenizer, Special(tokenizer.get_vocab_size(with_added_tokens=True), **ids, longest=_longest(folder))


def _longest(folder: Path) -> int | None:
    """model_max_length of tokenizer_config.json; transformers writes 10^30 for none."""
    path = folder / "tokenizer_config.json"
    said = read_json(path).get("model_max_length") if path.is_file() else None
    return said if said and said < 10**20 else None


def continuations(tokenizer: Tokenizer) -> np.ndarray:
    """Whether a token continues the word before it, bool [vocabulary]: WordPiece marks those with ##, byte-level BPE
    and SentencePiece mark the others, with Ġ and ▁.
    """
    spellings = [
        tokenizer.id_to_token(number) or "" for number in range(tokenizer.get_vocab_size(with_added_tokens=True))
    ]
    for mark, marked in (("##", True), ("Ġ", False), ("▁", False)):
        found = np.array([spelling.startswith(mark) for spelling in spellings])
        if found.any():
            return found == marked
    raise UserError(
        "this tokenizer marks neither beginnings nor continuations of words; set train.whole_words to false"
    )
