"""When a training has failed: its loss is not finite, or fp16 cannot hold its gradients."""

from dapt.telling.errors import UserError


class Diverged(UserError):
    """The loss of a step, counted from 1, is not finite, or fp16 can't hold its gradients."""

    def __init__(self, step: int, what: str = "the loss is not finite"):
        super().__init__(f"{what} in step {step}; lower the learning rate, or set train.precision to fp32")
        self.step, self.what = step, what

    def __reduce__(self) -> tuple[type, tuple[int, str]]:
        """Pickled between processes by what it was made from, not by its message."""
        return Diverged, (self.step, self.what)


def hopeless(skipped_in_row: int, scale: float) -> bool:
    """Whether fp16 has failed: three steps in a row left out although the loss is scaled no more."""
    return skipped_in_row >= 3 and scale <= 1
