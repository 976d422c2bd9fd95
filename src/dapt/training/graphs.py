"""A training step as one CUDA graph: forward, backward, clipping, scaler and optimizer.

A step of a small batch is some two thousand kernels, and Python takes longer to launch them than the card to run them. A
graph launches them all at once. It is captured from the code that runs a step eagerly, after a few eager steps, and reads
its batch from tensors that stay where they are.
"""

import sys
from collections.abc import Callable

import torch

from dapt.core.config import Train
from dapt.mlm.batches import Batch
from dapt.telling.errors import UserError

Body = Callable[[tuple[torch.Tensor, ...], torch.Tensor], torch.Tensor]
EAGER = 3  # steps before the capture, in which the optimizer's state and the libraries' buffers come to be


def obstacle(device: str, processes: int, packed: bool, settings: Train) -> str | None:
    """Why the steps of a training cannot be graphs, or None where they can."""
    if device != "cuda":
        return "there is no GPU"
    if processes > 1:
        return "several processes wait for each other in each step"
    if not packed:
        return "the batches of a model of this type have no fixed shape"
    if settings.compile:
        return "train.compile makes graphs of its own kind"
    if settings.gradient_checkpointing:
        return "train.gradient_checkpointing runs parts of a step again"
    return None


def wanted(device: str, processes: int, packed: bool, settings: Train) -> bool:
    """Whether the steps of a training are to be graphs; where they are asked for and can't be, this is refused, and where a
    GPU must do without, it is said."""
    if settings.graphs == "off":
        return False
    why = obstacle(device, processes, packed, settings)
    if why and settings.graphs == "on":
        raise UserError(f"train.graphs is on, but {why}; set it to auto")
    if why and device == "cuda":
        print(f"steps are not CUDA graphs: {why}; small batches are slower without", file=sys.stderr)
    return why is None


class StepGraph:
    """`body` takes a batch's tensors and how many tokens it predicts, makes a whole step of them, and returns what is read of
    it; gradients must be None where it begins."""

    def __init__(self, body: Body, batch: Batch, predicted: int, device: torch.device):
        self.inputs = batch.tensors(device)
        self.predicted = torch.tensor(float(predicted), device=device)
        self.graph = torch.cuda.CUDAGraph()
        torch.cuda.empty_cache()  # what the eager steps kept: the graph has memory of its own
        with torch.cuda.graph(self.graph):
            self.told = body(self.inputs, self.predicted)

    def replay(self, batch: Batch, predicted: int) -> torch.Tensor:
        """The step of this batch; what is read of it."""
        for place, name in zip(self.inputs, batch.__dataclass_fields__):
            place.copy_(torch.from_numpy(getattr(batch, name)).pin_memory(), non_blocking=True)
        self.predicted.fill_(float(predicted))
        self.graph.replay()
        return self.told.clone()
