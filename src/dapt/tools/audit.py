"""`dapt audit --model DIR`: describes a checkpoint as a masked language model, and tells whether its head was ever trained
(dapt.judging.probe).
"""

import json
from math import isfinite
from pathlib import Path

from dapt.judging.probe import head
from dapt.mlm.masked_lm import MaskedLM
from dapt.model import checkpoint
from dapt.model.architectures import usable_positions
from dapt.model.tokenizer import load_tokenizer


def audit(folder: Path) -> dict:
    """The facts that `dapt audit` prints."""
    tokenizer, special = load_tokenizer(folder)
    loaded, found = checkpoint.load(folder)
    checkpoint.check_fits(loaded, special)
    return {
        "type": loaded.config.model_type,
        "parameters": found.parameters,
        "longest_text": special.longest,  # the tokenizer's limit; it may exceed the number of positions
        "positions": int(usable) if isfinite(usable := usable_positions(loaded)) else None,
        "missing": found.missing,
        "unexpected": found.unexpected,
        "pooler": "present" if checkpoint.pooler(folder, loaded.base_model_prefix) else "missing",
        **head(MaskedLM(loaded), tokenizer, special, found.head_missing),
    }


def sentence(name: str, found: dict) -> str:
    """The facts as a sentence."""
    return (
        f"{name}: {found['type']}, {found['parameters']:,} parameters, texts of "
        f"{'up to ' * bool(found['positions'])}{found['positions'] or 'any number of'} "
        f"tokens; head {found['head']}: loss {found['loss']} on "
        f"general text, token frequencies alone {found['unigram_loss']} ({found['masked_tokens']:,} tokens); pooler "
        f"{found['pooler']}; missing weights: {', '.join(found['missing']) or 'none'}; unexpected weights: "
        f"{', '.join(found['unexpected']) or 'none'}"
    )


def run(folder: Path, as_json: bool) -> None:
    found = audit(folder)
    print(json.dumps(found) if as_json else sentence(str(folder), found))
