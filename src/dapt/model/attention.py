"""Attention in bf16 on a CPU, as two batched matrix products and a softmax.

There torch's own kernel takes three to four times as long, nearly all of it in the backward pass; in fp32 it is as fast as
this one, and on a GPU it is faster. So this one is used in bf16 on a CPU, and transformers' `sdpa` everywhere else.
"""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "dapt"


def products(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    pairs: torch.Tensor,
    scaling: float,
    dropout: float,
) -> torch.Tensor:
    """Tensors [rows, heads, size, width] and which pairs of slots see each other, bool [rows, 1, size, size]
    → [rows, heads, size, width]. The result of a slot that sees none, not even itself, is NaN."""
    rows, heads, size, width = query.shape
    bias = torch.zeros_like(pairs, dtype=query.dtype).masked_fill(~pairs, -torch.inf)
    bias = bias.expand(rows, heads, size, size).flatten(0, 1)
    scores = torch.baddbmm(bias, query.flatten(0, 1), key.flatten(0, 1).mT, alpha=scaling)
    weights = torch.dropout(scores.softmax(-1).to(value.dtype), dropout, dropout > 0)
    return torch.bmm(weights, value.flatten(0, 1)).view(rows, heads, size, width)


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    dropout: float = 0.0,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """The function that transformers calls: returns [rows, size, heads, width], and no attention weights."""
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return products(query, key, value, attention_mask, scaling, dropout).transpose(1, 2).contiguous(), None


def pairs_of(*args: Any, **kwargs: Any) -> torch.Tensor | None:
    """transformers' mask of pairs, also without padding, where transformers would omit it."""
    return sdpa_mask(*args, **kwargs | {"allow_is_bidirectional_skip": False})


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, pairs_of)
