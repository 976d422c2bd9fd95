"""`dapt audit --model DIR`: what a checkpoint is as a masked language model, and whether its head was ever trained
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
    """What `dapt audit` prints."""
    tokenizer, special = load_tokenizer(folder)
    loaded, found = checkpoint.load(folder)
    checkpoint.check_fits(loaded, special)
    return {
        "type": loaded.config.model_type,
        "parameters": found.parameters,
        "longest_text": special.longest,  # that the tokenizer says it is made for; more than the positions hinders nothing
        "positions": int(usable) if isfinite(usable := usable_positions(loaded)) else None,
        "missing": found.missing,
        "unexpected": found.unexpected,
        "pooler": "present" if checkpoint.pooler(folder, loaded.base_model_prefix) else "missing",
        **head(MaskedLM(loaded), tokenizer, special, found.head_missing),
    }


def sentence(name: str, found: dict) -> str:
    """The same for people."""
    return (
        f"{name}: {found['type']}, {found['parameters']:,} parameters, texts of {found['positions'] or 'any number of'} "
        f"tokens; head {found['head']}: loss {found['loss']} on "
        f"general text, token frequencies alone {found['unigram_loss']} ({found['masked_tokens']:,} tokens); pooler "
        f"{found['pooler']}; missing: {', '.join(found['missing']) or 'nothing'}; not expected: "
        f"{', '.join(found['unexpected']) or 'nothing'}"
    )


def run(folder: Path, as_json: bool) -> None:
    found = audit(folder)
    print(json.dumps(found) if as_json else sentence(str(folder), found))
