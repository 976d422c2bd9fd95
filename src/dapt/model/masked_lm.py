"""Masked language models: loaded and audited, the head computed at predicted positions only, saved with the parent's
pooler."""

import math
import os
import shutil
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForMaskedLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from dapt.model.masked_lm.masked_lm import attention
from dapt.mlm.batches import IGNORED, Batch
from dapt.telling.errors import UserError
from dapt.mlm.tokens import Special, Tokens

HEADS = {  # model type → the modules that turn the encoder's hidden states into logits, in turn, the decoder last
    "bert": ("cls",),
    "distilbert": ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),
    "roberta": ("lm_head",),
    "xlm-roberta": ("lm_head",),
    "camembert": ("lm_head",),
    "electra": ("generator_predictions", "generator_lm_head"),
    "deberta-v2": ("cls",),
    "modernbert": ("head", "decoder"),
}
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
                str(folder), dtype=torch.float32, output_loading_info=True, local_files_only=True,
                trust_remote_code=False)
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
        raise UserError(f"the tokenizer has {special.vocabulary} tokens, the model embeddings for {embeddings}; "
                        "they do not belong together")
    if special.longest and special.longest > usable:
        raise UserError(f"the tokenizer is made for texts of {special.longest} tokens, the model has {usable} positions; "
                        "they do not belong together (model_max_length in tokenizer_config.json)")
    if window > usable:
        raise UserError(f"windows of {window} tokens are longer than the model's {usable} positions; make train.window "
                        "and evaluate.window smaller")


def usable_positions(model: PreTrainedModel) -> float:
    """The longest text in tokens, [CLS] and [SEP] included; infinite where positions have no end."""
    return getattr(model.config, "max_position_embeddings", math.inf) - first_position(model)


def first_position(model: PreTrainedModel) -> int:
    """The position id of a text's first token: RoBERTa and its kin count on from the id of their padding."""
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else padding + 1


def pooler(folder: Path, encoder: str) -> dict[str, torch.Tensor]:
    """The pooler's weights in a checkpoint, under the names that a model with an encoder inside gives them.

    `encoder` is what such a model calls it ("bert"). In a checkpoint of a bare encoder no name begins so.
    """
    weights = checkpoint(folder)
    bare = not any(name.startswith(f"{encoder}.") for name in weights)
    return {f"{encoder}.{name}" if bare else name: value.clone() for name, value in weights.items() if "pooler." in name}


def checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of a checkpoint, which may lie in several files. Older ones are pickled, and weights alone are read."""
    parts = [load_file(path) for path in sorted(folder.glob("model*.safetensors"))] or [
        torch.load(path, map_location="cpu", weights_only=True) for path in sorted(folder.glob("pytorch_model*.bin"))]
    return {name: value for part in parts for name, value in part.items()}


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


def head_of(model: PreTrainedModel) -> tuple[str, ...]:
    """The model's row in HEADS; empty where there is none, or where the encoder cannot keep texts of a window apart."""
    if getattr(model.config, "conv_kernel_size", 0):  # DeBERTa-v2 xlarge convolves over neighbours, of whatever text
        return ()
    if model.config.model_type == "deberta-v2" and not model.config.legacy:
        return ("lm_predictions",)
    return HEADS.get(model.config.model_type, ())


def set_dropout(model: nn.Module, rate: float) -> None:
    """Of activations and of attention, in all layers."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        elif isinstance(getattr(module, "attention_dropout", None), int | float):  # ModernBERT's, a bare number
            module.attention_dropout = rate


class MaskedLM(nn.Module):
    """A masked language model whose head sees only the positions that are predicted, and whose attention stays within
    each text of a window. A model that is not in HEADS is given one text a row, and its head sees every position."""

    def __init__(self, model: PreTrainedModel, dropout: float = 0.0):
        super().__init__()
        self.model = model
        self.head = head_of(model)
        if self.head:
            model.set_attn_implementation(attention.NAME)  # eager attention would add a boolean mask to the scores
        elif os.environ.get("RANK", "0") == "0":
            print(f"a model of type {model.config.model_type} is not packed here: each text has a row of its own and "
                  f"the head runs at every position, which is right but slower; packed are {', '.join(HEADS)}, "
                  "without convolutions", file=sys.stderr)
        set_dropout(model, dropout)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """All outside the encoder: the head, without the decoder's weight where that is the word embeddings'."""
        encoder = set(self.model.base_model.parameters())
        return {name: value for name, value in self.model.named_parameters() if value not in encoder}

    def forward(self, ids, segments, positions, picks, labels):
        """int64 tensors as in Batch → the loss of each pick, fp32 [rows * K], 0 where IGNORED, and its logits."""
        rows, size = ids.shape
        flat = (picks + torch.arange(rows, device=ids.device)[:, None] * size).flatten()
        logits = self.logits(self.states(ids, segments, positions, flat)).float()
        losses = F.cross_entropy(logits, labels.flatten(), reduction="none", ignore_index=IGNORED)
        return losses, logits

    def states(self, ids, segments, positions, flat):
        """What `logits` takes, at the slots `flat` of the windows: hidden states [picks, width], or, of a model that is not
        in HEADS, its logits."""
        if not self.head:
            return self.dense(ids, segments, positions, flat)
        return self.encode(ids, segments, positions).flatten(0, 1).index_select(0, flat)

    def encode(self, ids, segments, positions):
        """Hidden states [rows, size, width] of windows whose texts do not see each other."""
        encoder, config = self.model.base_model, self.model.config
        mask = segments[:, None, :, None] == segments[:, None, None, :]
        if config.model_type == "deberta-v2":  # only the inner encoder takes a mask of pairs
            return encoder.encoder(encoder.embeddings(ids, position_ids=positions), mask).last_hidden_state
        if config.model_type == "modernbert":  # its local layers look `sliding_window` tokens to either side
            near = (positions[:, None, :, None] - positions[:, None, None, :]).abs() <= config.sliding_window
            mask = {"full_attention": mask, "sliding_attention": mask & near}
        positions = positions + first_position(self.model)
        return encoder(input_ids=ids, attention_mask=mask, position_ids=positions).last_hidden_state

    def logits(self, hidden):
        """What `states` gives → [picks, vocabulary]."""
        for name in self.head:
            module = getattr(self.model, name)
            tied = (self.model.get_input_embeddings(),) if name == "lm_predictions" else ()  # it has no decoder itself
            hidden = module(hidden, *tied)
        return hidden

    @torch.compiler.disable  # every batch has another shape
    def dense(self, ids, segments, positions, flat):
        """Logits [picks, vocabulary] at the slots `flat` of the windows, from the model's own forward, one text a row."""
        ids, real, place = unpacked(ids, segments, positions)
        return self.model(input_ids=ids, attention_mask=real).logits.flatten(0, 1).index_select(0, place[flat])


def unpacked(ids, segments, positions):
    """Windows [rows, size] → one text a row: ids (0 behind the text) and which are real, int64 [texts, longest]; and
    where each slot of the windows went, int64 [rows * size], counted over all rows (padding: to the start of a text).
    """
    real = (segments > 0).flatten()
    text = ((positions.flatten() == 0) & real).cumsum(0) - 1
    shape = int(text[-1]) + 1, int(positions.max()) + 1
    place = text * shape[1] + positions.flatten()
    rows, mask = (ids.new_zeros(shape) for _ in range(2))
    rows.view(-1)[place[real]] = ids.flatten()[real]
    mask.view(-1)[place[real]] = 1
    return rows, mask, place


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
    """Copy the donor's head (a decoder that is tied to the word embeddings stays the model's own)."""
    theirs = dict(donor.named_parameters(remove_duplicate=False))
    for name, value in model.head_parameters().items():
        if name not in theirs or theirs[name].shape != value.shape:
            raise UserError(f"the donor has no {name} of shape {list(value.shape)}: it must have the base's type, "
                            "width and vocabulary")
        value.data.copy_(theirs[name].data)
