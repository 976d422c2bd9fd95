"""AdamW and its state."""

from collections.abc import Iterable

import torch
from torch import nn


def optimizer(parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float) -> torch.optim.AdamW:
    """AdamW without weight decay for biases and LayerNorms, as in BERT."""
    named = [(name, value) for name, value in parameters if value.requires_grad]
    groups = [
        {"params": [value for _, value in named if value.ndim >= 2], "weight_decay": weight_decay},
        {"params": [value for _, value in named if value.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def optimizer_tensors(optim: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """AdamW's state as a flat dict of tensors: optimizer.<parameter number>.<name>."""
    return {
        f"optimizer.{number}.{name}": value.contiguous()
        for number, state in optim.state_dict()["state"].items()
        for name, value in state.items()
    }


def restore(optim: torch.optim.Optimizer, saved: dict[str, torch.Tensor]) -> None:
    """The inverse of optimizer_tensors."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for place, value in saved.items():
        if place.startswith("optimizer."):
            _, number, name = place.split(".")
            state.setdefault(int(number), {})[name] = value
    optim.load_state_dict({"state": state, "param_groups": optim.state_dict()["param_groups"]})
