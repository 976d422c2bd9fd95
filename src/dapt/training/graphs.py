"""A training step as one CUDA graph: forward, backward, clipping, scaler and optimizer.

A step on a small batch consists of about two thousand kernels, and Python takes longer to launch them than the GPU to run
them. A graph launches them all at once. It is captured from the code of an eager step, after a few eager steps, and reads its
batch from tensors at fixed addresses.
"""

import sys
from collections.abc import Callable

import torch

from dapt.core.config import Train
from dapt.mlm.batches import Batch
from dapt.telling.errors import UserError

Body = Callable[[tuple[torch.Tensor, ...], torch.Tensor], torch.Tensor]
EAGER = 3  # steps before the capture, which create the optimizer's state and the libraries' buffers


def obstacle(device: str, processes: int, packed: bool, settings: Train) -> str | None:
    """Why the steps of a training cannot run as graphs, or None if they can."""
    if device != "cuda":
        return "there is no GPU"
    if processes > 1:
        return "several processes synchronise in each step"
    if not packed:
        return "batches have no fixed shape for this type of model"
    if settings.compile:
        return "train.compile makes its own graphs"
    if settings.gradient_checkpointing:
        return "train.gradient_checkpointing runs parts of a step twice"
    return None


def wanted(device: str, processes: int, packed: bool, settings: Train) -> bool:
    """Whether the steps of a training should run as graphs. If train.graphs is on but that is impossible, raise a UserError; if
    it is auto, print why a GPU runs without them."""
    if settings.graphs == "off":
        return False
    why = obstacle(device, processes, packed, settings)
    if why and settings.graphs == "on":
        raise UserError(f"train.graphs is on, but {why}; set it to auto")
    if why and device == "cuda":
        print(f"training without CUDA graphs: {why}; small batches will be slower", file=sys.stderr)
    return why is None


class StepGraph:
    """`body` takes a batch's tensors and its number of predicted tokens, runs a whole step, and returns the values to be read
    (loss and skip flag); gradients must be None when it begins."""

    def __init__(self, body: Body, batch: Batch, predicted: int, device: torch.device):
        self.inputs = batch.tensors(device)
        self.predicted = torch.tensor(float(predicted), device=device)
        self.graph = torch.cuda.CUDAGraph()
        torch.cuda.empty_cache()  # frees what the eager steps cached: the graph allocates its own memory
        with torch.cuda.graph(self.graph):
            self.told = body(self.inputs, self.predicted)

    def replay(self, batch: Batch, predicted: int) -> torch.Tensor:
        """Run the step on this batch; return the values to be read."""
        for place, name in zip(self.inputs, batch.__dataclass_fields__):
            place.copy_(torch.from_numpy(getattr(batch, name)).pin_memory(), non_blocking=True)
        self.predicted.fill_(float(predicted))
        self.graph.replay()
        return self.told.clone()
