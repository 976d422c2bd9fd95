"""Detects a failed training: its loss is not finite, or its gradients overflow in fp16."""

import math
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from dapt.telling.errors import UserError

READ_EVERY = 10  # steps between two reads of the losses, each of which makes a GPU wait


class Diverged(UserError):
    """The loss of a step (counted from 1) is not finite, or its gradients overflow in fp16."""

    def __init__(self, step: int, what: str = "the loss is not finite"):
        super().__init__(f"{what} in step {step}; lower the learning rate, or set train.precision to fp32")
        self.step, self.what = step, what

    def __reduce__(self) -> tuple[type, tuple[int, str]]:
        """Pickle the arguments of the constructor, not the message."""
        return Diverged, (self.step, self.what)


def will_be_skipped(accelerator: Accelerator, optim: AcceleratedOptimizer) -> torch.Tensor:
    """1 if the fp16 scaler will skip the coming step because a gradient is not finite, else 0; to be called between clipping,
    which unscales the gradients, and the step. The value stays on the device, since reading it would make a GPU wait.

    The scaler calls a fused optimizer for skipped steps too, which then leaves the weights unchanged, so accelerate's
    `optimizer_step_was_skipped` is never true. The scaler's found_inf is what counts.
    """
    if accelerator.scaler is None:
        return torch.zeros((), device=accelerator.device)
    found = accelerator.scaler._found_inf_per_device(optim.optimizer)
    return torch.stack([value.to(accelerator.device) for value in found.values()]).amax()


@dataclass
class Skips:
    """Steps that the fp16 scaler skipped: how many in total, and how many in a row up to now."""

    total: int = 0
    in_row: int = 0

    def check(self, step: int, skipped: bool, loss: float, scaler: torch.amp.GradScaler | None) -> float | None:
        """The loss of a step (counted from 1); None if the step was skipped and its loss is not finite. Raise Diverged if a
        step that was not skipped has a loss that is not finite, or if too many steps in a row were skipped (`hopeless`); the
        error names the first of these steps."""
        self.in_row = self.in_row + 1 if skipped else 0
        self.total += skipped
        if skipped and hopeless(self.in_row, scaler.get_scale() if scaler else 1.0):
            raise Diverged(
                step - self.in_row + 1,
                f"the gradients of {self.in_row} steps in a row are not finite in fp16, even without loss scaling, "
                "for the first time",
            )
        if math.isfinite(loss):
            return loss
        if not skipped:
            raise Diverged(step)
        return None


def hopeless(skipped_in_row: int, scale: float) -> bool:
    """Whether fp16 has failed: three steps in a row were skipped although the loss is no longer scaled, or hundreds were."""
    return (skipped_in_row >= 3 and scale <= 1) or skipped_in_row >= 200
