"""Masked language models: loaded and audited, the head computed at predicted positions only, saved with the parent's
pooler."""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForMaskedLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from dapt.batches import IGNORED, Batch
from dapt.errors import UserError
from dapt.tokenize import Special, Tokens

HEADS = {"bert": "cls"}  # model type → the module that turns hidden states into logits
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


@dataclass(frozen=True)
class Audit:
    """What loading a checkpoint as a masked language model met."""

    parameters: int
    missing: list[str]
    unexpected: list[str]

    @property
    def head_missing(self) -> bool:
        return any(not name.endswith("decoder.weight") for name in self.missing)


def load(folder: Path, seed: int = 0) -> tuple[PreTrainedModel, Audit]:
    """A checkpoint as a masked language model in fp32; what it lacks is drawn from `seed` and named in the audit."""
    torch.manual_seed(seed)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, info = AutoModelForMaskedLM.from_pretrained(
                str(folder), attn_implementation="sdpa", dtype=torch.float32, output_loading_info=True,
                local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"{folder} does not load as a masked language model: {str(error).splitlines()[0]}") from error
    return model, Audit(model.num_parameters(), sorted(info["missing_keys"]), sorted(info["unexpected_keys"]))


def check_fits(model: PreTrainedModel, special: Special, window: int) -> None:
    """Refuse a tokenizer with more tokens than the model has embeddings, or windows longer than its positions."""
    config = model.config
    if special.vocabulary > config.vocab_size:
        raise UserError(f"the tokenizer has {special.vocabulary} tokens, the model embeddings for {config.vocab_size}; "
                        "they do not belong together")
    if window > getattr(config, "max_position_embeddings", window):
        raise UserError(f"windows of {window} tokens are longer than the model's {config.max_position_embeddings} "
                        "positions; make train.window and evaluate.window smaller")


def pooler(folder: Path) -> dict[str, torch.Tensor]:
    """The pooler's weights in a checkpoint, under the names that a model with an encoder inside gives them."""
    path = folder / "model.safetensors"
    if not path.is_file():
        return {}
    with safe_open(path, "pt") as weights:
        return {name if "." in name.split("pooler.")[0] else f"bert.{name}": weights.get_tensor(name)
                for name in weights.keys() if "pooler." in name}


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


class MaskedLM(nn.Module):
    """A masked language model whose head sees only the positions that are predicted, and whose attention stays within
    each text of a window."""

    def __init__(self, model: PreTrainedModel, dropout: float = 0.0):
        super().__init__()
        self.model = model
        self.head = HEADS.get(model.config.model_type)
        if self.head is None:
            raise UserError(f"models of type {model.config.model_type} are not known here; known: {', '.join(HEADS)}")
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """The head without the decoder's weight, which is the word embeddings'."""
        embeddings = self.model.get_input_embeddings().weight
        return {name: value for name, value in self.model.named_parameters()
                if name.startswith(f"{self.head}.") and value is not embeddings}

    def forward(self, ids, segments, positions, picks, labels):
        """int64 tensors as in Batch → the loss of each pick, fp32 [rows * K], 0 where IGNORED, and its logits."""
        rows, size = ids.shape
        same_text = segments[:, None, :, None] == segments[:, None, None, :]
        hidden = self.model.base_model(input_ids=ids, attention_mask=same_text, position_ids=positions).last_hidden_state
        flat = (picks + torch.arange(rows, device=ids.device)[:, None] * size).flatten()
        logits = getattr(self.model, self.head)(hidden.flatten(0, 1).index_select(0, flat)).float()
        losses = F.cross_entropy(logits, labels.flatten(), reduction="none", ignore_index=IGNORED)
        return losses, logits


def state(masked_lm: MaskedLM) -> dict[str, torch.Tensor]:
    """All weights under their own names, each memory once: a tied decoder is left out."""
    return {name: value.detach() for name, value in masked_lm.named_parameters()} | dict(masked_lm.named_buffers())


def restore(masked_lm: MaskedLM, saved: dict[str, torch.Tensor]) -> None:
    """The opposite of `state`."""
    with torch.no_grad():
        for name, value in state(masked_lm).items():
            value.copy_(saved[name])


def tensors(batch: Batch, device: torch.device | str = "cpu") -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(getattr(batch, name))).to(device, non_blocking=True)
                 for name in batch.__dataclass_fields__)


def unigram_loss(counts: np.ndarray, labels: np.ndarray) -> float:
    """Cross-entropy of `labels` under add-one-smoothed token frequencies, int64 [vocabulary]: what a model that looks
    at no context reaches. A head that does worse is untrained."""
    smoothed = counts + 1.0
    return float(-np.log(smoothed / smoothed.sum())[labels].mean())


def transplant(model: MaskedLM, donor: PreTrainedModel) -> None:
    """Copy the donor's head (its decoder is tied to the word embeddings and stays the model's own)."""
    theirs = dict(donor.named_parameters())
    for name, value in model.head_parameters().items():
        if name not in theirs or theirs[name].shape != value.shape:
            raise UserError(f"the donor has no {name} of shape {list(value.shape)}: it must have the base's type, "
                            "width and vocabulary")
        value.data.copy_(theirs[name].data)
