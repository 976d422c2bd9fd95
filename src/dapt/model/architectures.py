"""What is known of each type of encoder: its head's modules, its positions, its dropout."""

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
    """The longest text in tokens, [CLS] and [SEP] included; infinite where positions have no end."""
    return getattr(model.config, "max_position_embeddings", math.inf) - first_position(model)


def first_position(model: PreTrainedModel) -> int:
    """The position id of a text's first token: RoBERTa and its kin count on from the id of their padding."""
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else padding + 1


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
            cast(Any, module).attention_dropout = rate
