"""Checkpoints in and out: loaded and audited, saved with the parent's pooler."""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from dapt.model.architectures import usable_positions
from dapt.model.tokenizer import Special
from dapt.telling.errors import UserError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


@dataclass(frozen=True)
class Audit:
    """What loading a checkpoint as a masked language model met."""

    parameters: int
    missing: list[str]
    unexpected: list[str]

    @property
    def head_missing(self) -> bool:
        return bool(self.missing)  # a tied decoder is not missing


def load(folder: Path, seed: int = 0) -> tuple[PreTrainedModel, Audit]:
    """A checkpoint as a masked language model in fp32; what it lacks is drawn from `seed` and named in the audit."""
    torch.manual_seed(seed)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, info = AutoModelForMaskedLM.from_pretrained(
                str(folder),
                dtype=torch.float32,
                output_loading_info=True,
                local_files_only=True,
                trust_remote_code=False,
            )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"{folder} does not load as a masked language model: {str(error).splitlines()[0]}") from error
    return model, Audit(model.num_parameters(), sorted(info["missing_keys"]), sorted(info["unexpected_keys"]))


def check_fits(model: PreTrainedModel, special: Special, window: int = 0) -> None:
    """Refuse a tokenizer of another model, and windows longer than the model's positions.

    Embeddings that no token has are padding up to a round number: 99 in DeBERTa-v3, 898 of 251,000 in its multilingual
    kin. More of them, or too few, are those of another tokenizer.
    """
    embeddings, usable = model.config.vocab_size, usable_positions(model)
    if not 0 <= embeddings - special.vocabulary <= max(128, embeddings // 100):
        raise UserError(
            f"the tokenizer has {special.vocabulary} tokens, the model embeddings for {embeddings}; "
            "they do not belong together"
        )
    if special.longest and special.longest > usable:
        raise UserError(
            f"the tokenizer is made for texts of {special.longest} tokens, the model has {usable} positions; "
            "they do not belong together (model_max_length in tokenizer_config.json)"
        )
    if window > usable:
        raise UserError(
            f"windows of {window} tokens are longer than the model's {usable} positions; make train.window "
            "and evaluate.window smaller"
        )


def pooler(folder: Path, encoder: str) -> dict[str, torch.Tensor]:
    """The pooler's weights in a checkpoint, under the names that a model with an encoder inside gives them.

    `encoder` is what such a model calls it ("bert"). In a checkpoint of a bare encoder no name begins so.
    """
    names: list[str] = []
    found: dict[str, torch.Tensor] = {}
    parts = sorted(folder.glob("model*.safetensors"))
    for path in parts:
        with safe_open(path, "pt") as weights:  # reads what is asked for alone
            names += weights.keys()
            found |= {name: weights.get_tensor(name) for name in weights.keys() if "pooler." in name}
    for path in () if parts else sorted(folder.glob("pytorch_model*.bin")):  # older ones are pickled
        pickled = torch.load(path, map_location="cpu", weights_only=True)
        names += pickled
        found |= {name: value.clone() for name, value in pickled.items() if "pooler." in name}
    bare = not any(name.startswith(f"{encoder}.") for name in names)
    return {f"{encoder}.{name}" if bare else name: value for name, value in found.items()}


def save(model: PreTrainedModel, extra: dict[str, torch.Tensor], tokenizer: Path, folder: Path) -> None:
    """config.json, model.safetensors with the `extra` weights (the parent's pooler), and the tokenizer's files."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        model.save_pretrained(folder, safe_serialization=True)
        if extra:
            weights = load_file(folder / "model.safetensors")
            save_file(weights | extra, folder / "model.safetensors", metadata={"format": "pt"})
        for name in TOKENIZER_FILES:
            if (tokenizer / name).is_file():
                shutil.copyfile(tokenizer / name, folder / name)
    except SafetensorError as error:
        raise UserError(f"cannot write {folder}: {error}; free space there and run again") from error
