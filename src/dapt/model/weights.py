"""The weights of a published checkpoint: safetensors or pickled, in one file or several, under names that a training loop
may have wrapped."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open

SAFE, PICKLED = "model*.safetensors", "pytorch_model*.bin"
NESTED = ("state_dict", "model_state_dict", "model")  # keys of a training loop's own checkpoint with the weights
WRAPPERS = ("module.", "_orig_mod.", "model.")  # the prefixes of DistributedDataParallel, torch.compile and Lightning


class Weights(NamedTuple):
    names: list[str]  # of all weights in a folder
    tensors: dict[str, torch.Tensor]  # the wanted ones
    nested: str  # the entry of a pickled checkpoint that contains them, "" if none


def read_weights(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> Weights:
    """The weights in a folder whose names are wanted. Safetensors take precedence, as in transformers, and of them only the
    wanted weights are read."""
    names: list[str] = []
    found: dict[str, torch.Tensor] = {}
    nested = ""
    parts = sorted(folder.glob(SAFE))
    for path in parts:
        with safe_open(path, "pt") as weights:
            names += weights.keys()
            found |= {name: weights.get_tensor(name) for name in weights.keys() if wanted(name)}
    for path in () if parts else sorted(folder.glob(PICKLED)):
        pickled, nested = _pickled(path)
        names += pickled
        found |= {name: value.clone() for name, value in pickled.items() if wanted(name)}
    return Weights(names, found, nested)


def _pickled(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The weights in a pickled checkpoint, and its entry that contains them, among others such as the optimizer's state."""
    pickled: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    nested = []
    while name := next((name for name in NESTED if isinstance(pickled.get(name), dict)), None):
        pickled = pickled[name]
        nested.append(name)
    return {name: value for name, value in pickled.items() if isinstance(value, torch.Tensor)}, ".".join(nested)


def wrapping(names: Iterable[str], expected: set[str]) -> str:
    """The prefix that a training loop put before the names that the model expects; "" if none.

    >>> wrapping(["module._orig_mod.bert.x", "epoch"], {"bert.x"}), wrapping(["model.x"], {"model.x"})
    ('module._orig_mod.', '')
    """
    prefix, names = "", list(names)
    while not any(name.removeprefix(prefix) in expected for name in names if name.startswith(prefix)):
        inner = next((one for one in WRAPPERS if any(name.startswith(prefix + one) for name in names)), None)
        if inner is None:
            return ""
        prefix += inner
    return prefix
