"""Attention in bf16 on a processor as two batched products and a softmax.

torch's own kernel for processors is three to four times as slow there, nearly all of it backwards; in fp32 it is as fast,
and on a GPU faster. So this is taken in bf16 on a processor, and transformers' `sdpa` everywhere else.
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
    → [rows, heads, size, width]. A slot that sees none, not even itself, is NaN."""
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
    """As transformers calls it: → [rows, size, heads, width], and no weights."""
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return products(query, key, value, attention_mask, scaling, dropout).transpose(1, 2).contiguous(), None


def pairs_of(*args: Any, **kwargs: Any) -> torch.Tensor | None:
    """transformers' mask of pairs, also where nothing is padding and it would leave it out."""
    return sdpa_mask(*args, **kwargs | {"allow_is_bidirectional_skip": False})


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, pairs_of)
