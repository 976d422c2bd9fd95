"""When a training has failed: its loss is not finite, or fp16 cannot hold its gradients."""

import math
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from dapt.telling.errors import UserError

READ_EVERY = 10  # steps between two looks at the losses, each of which makes a GPU wait


class Diverged(UserError):
    """The loss of a step, counted from 1, is not finite, or fp16 can't hold its gradients."""

    def __init__(self, step: int, what: str = "the loss is not finite"):
        super().__init__(f"{what} in step {step}; lower the learning rate, or set train.precision to fp32")
        self.step, self.what = step, what

    def __reduce__(self) -> tuple[type, tuple[int, str]]:
        """Pickled between processes by what it was made from, not by its message."""
        return Diverged, (self.step, self.what)


def will_be_skipped(accelerator: Accelerator, optim: AcceleratedOptimizer) -> torch.Tensor:
    """1 where fp16's scaler leaves out the coming step, since a gradient is not finite, else 0; to be asked between the
    clipping, which unscales the gradients, and the step. It stays on the device: a look at each would make a GPU wait.

    The scaler calls a fused optimizer for such a step too, which then leaves its weights alone, so that accelerate's
    `optimizer_step_was_skipped` is never true. What decides is the scaler's found_inf.
    """
    if accelerator.scaler is None:
        return torch.zeros((), device=accelerator.device)
    found = accelerator.scaler._found_inf_per_device(optim.optimizer)
    return torch.stack([value.to(accelerator.device) for value in found.values()]).amax()


@dataclass
class Skips:
    """Steps that fp16's scaler left out: how many in all, and how many in a row up to now."""

    total: int = 0
    in_row: int = 0

    def check(self, step: int, skipped: bool, loss: float, scaler: torch.amp.GradScaler | None) -> float | None:
        """The loss of a step, counted from 1; None where the step was left out and had none. Refuse a training that has
        failed: a step whose loss is not finite was taken, or a few in a row were left out although the loss is hardly scaled
        any more. The step that is named is the first of these."""
        self.in_row = self.in_row + 1 if skipped else 0
        self.total += skipped
        if skipped and hopeless(self.in_row, scaler.get_scale() if scaler else 1.0):
            raise Diverged(
                step - self.in_row + 1,
                f"the gradients of {self.in_row} steps in a row are not finite in fp16, even unscaled, for the first time",
            )
        if math.isfinite(loss):
            return loss
        if not skipped:
            raise Diverged(step)
        return None


def hopeless(skipped_in_row: int, scale: float) -> bool:
    """Whether fp16 has failed: three steps in a row were left out although the loss is scaled no more, or hundreds were."""
    return (skipped_in_row >= 3 and scale <= 1) or skipped_in_row >= 200
