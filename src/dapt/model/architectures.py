"""What is known about each type of encoder: its head's modules, its positions, its dropout."""

import math
from typing import Any, cast

from torch import nn
from transformers import PreTrainedModel

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


def usable_positions(model: PreTrainedModel) -> float:
    """The longest text in tokens, [CLS] and [SEP] included; infinite if there is no limit."""
    return getattr(model.config, "max_position_embeddings", math.inf) - first_position(model)


def first_position(model: PreTrainedModel) -> int:
    """The position id of a text's first token: RoBERTa and related models count on from the id of the padding token."""
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else padding + 1


def head_of(model: PreTrainedModel) -> tuple[str, ...]:
    """The model's entry in HEADS; empty if it has none, or if its encoder cannot keep the texts of a window apart."""
    if getattr(
        model.config, "conv_kernel_size", 0
    ):  # DeBERTa-v2 xlarge convolves over neighbours, also of another text
        return ()
    if model.config.model_type == "deberta-v2" and not model.config.legacy:
        return ("lm_predictions",)
    return HEADS.get(model.config.model_type, ())


def set_dropout(model: nn.Module, rate: float) -> None:
    """Set the dropout rate of activations and attention in all layers."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        elif isinstance(getattr(module, "attention_dropout", None), int | float):  # ModernBERT's, a plain number
            cast(Any, module).attention_dropout = rate
