"""Linear layers in fp32 on a processor by oneDNN, for judging: torch takes MKL's product, on AMD's processors half as fast.

Neither is more exact. There is no gradient.
"""

from functools import partial

import torch
from torch import nn


def product(layer: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(states, layer.weight, layer.bias, "none", [], "")


def use_onednn(network: nn.Module) -> None:
    """Do nothing where torch was built without it."""
    if torch.backends.mkldnn.is_available():
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                layer.forward = partial(product, layer)  # type: ignore[method-assign]  # of this layer, not of its class
