"""The training loop, under accelerate: AdamW, warm-up and linear decay, clipping; the same bits from the same start.

The loop knows nothing of domains or files: it is given a model, a function step → batch, and what to do now and then.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from torch import nn

from dapt.batches import IGNORED, Batch
from dapt.errors import UserError
from dapt.memory import keep_freed_memory
from dapt.model import MaskedLM, tensors
from dapt.precision import decide, this_device
from dapt.progress import Progress

READ_EVERY = 10  # steps between two looks at the losses, each of which makes a GPU wait


@dataclass(frozen=True)
class Schedule:
    steps: int
    lr: float
    warmup: int
    weight_decay: float
    clip: float

    def rate(self, step: int) -> float:
        """Learning rate of a step: up in a line over `warmup` steps, then down in a line, to 0 behind the last step."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        return self.lr * (self.steps - step) / max(1, self.steps - self.warmup)


@dataclass
class Course:
    """What a training has been through: the loss of each step, and (step, loss on valid) at each look."""

    train: list[float] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)
    tokens: int = 0  # seen, without [CLS], [SEP] and padding
    predicted: int = 0


def optimizer(parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float) -> torch.optim.AdamW:
    """AdamW; biases and LayerNorms are not decayed, as in BERT."""
    named = [(name, value) for name, value in parameters if value.requires_grad]
    groups = [{"params": [value for _, value in named if value.ndim >= 2], "weight_decay": weight_decay},
              {"params": [value for _, value in named if value.ndim < 2], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def mean_loss(accelerator: Accelerator, model: MaskedLM, batches: Iterable[Batch]) -> float:
    """Loss a predicted token over fixed batches, dropout off, in the precision of the training."""
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad(), accelerator.autocast():
        for batch in batches:
            losses, _ = model(*tensors(batch, accelerator.device))
            total += losses.double().sum().item()
            count += int((batch.labels != IGNORED).sum())
    model.train(was_training)
    return total / count


def fit(accelerator: Accelerator, model: MaskedLM, batch_of: Callable[[int], Batch], schedule: Schedule, name: str,
        pause: Callable[[int], bool], visit: Callable[[int, torch.optim.Optimizer, Course], bool],
        start: tuple[dict[str, torch.Tensor], Course, int] | None = None) -> Course:
    """Train the parameters of `model` that require a gradient, in place, and return the course.

    `visit(steps done, optimizer, course)` is called where `pause(steps done)` is true, and behind the last step; it
    stops the training by returning True. `start` is a state to go on from: the optimizer's tensors, the course so far
    and the steps done.
    """
    optim = optimizer(model.named_parameters(), schedule.weight_decay)
    course, first = Course(), 0
    if start:
        state, course, first = start
        restore(optim, state)
    prepared, optim = accelerator.prepare(model, optim)
    prepared.train()
    rank, world = accelerator.process_index, accelerator.num_processes
    progress = Progress(name, schedule.steps, first, shown=accelerator.is_main_process)
    unread: list[torch.Tensor] = []
    for done in range(first + 1, schedule.steps + 1):
        batch = batch_of(done - 1)
        share = len(batch.ids) // world
        predicted, seen = int((batch.labels != IGNORED).sum()), real_tokens(batch)
        for group in optim.param_groups:
            group["lr"] = schedule.rate(done - 1)
        losses, _ = prepared(*tensors(batch.rows(rank * share, (rank + 1) * share), accelerator.device))
        loss = losses.sum() / predicted
        accelerator.backward(loss * world)  # gradients are averaged over the processes, the loss is a sum
        accelerator.clip_grad_norm_([value for value in prepared.parameters() if value.requires_grad], schedule.clip)
        optim.step()
        optim.zero_grad()
        unread.append(loss.detach())
        course.predicted += predicted
        course.tokens += seen
        halt = pause(done) or done == schedule.steps
        if halt or len(unread) == READ_EVERY:
            course.train += accelerator.reduce(torch.stack(unread), "sum").tolist()
            unread.clear()
            if not all(map(math.isfinite, course.train[-READ_EVERY:])):
                raise UserError(f"the loss is not finite by step {done}; lower the learning rate, or set "
                                "train.precision to fp32")
        progress.advance(seen, loss=course.train[-1] if course.train else math.nan)
        if halt and visit(done, optim, course):
            break
    progress.close()
    return course


def real_tokens(batch: Batch) -> int:
    """Tokens of text in a batch: slots of a text less its [CLS] and [SEP]."""
    return int((batch.segments > 0).sum() - 2 * ((batch.positions == 0) & (batch.segments > 0)).sum())


def optimizer_tensors(optim: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """AdamW's state as flat named tensors: optimizer.<parameter number>.<name>."""
    return {f"optimizer.{number}.{name}": value.contiguous()
            for number, state in optim.state_dict()["state"].items() for name, value in state.items()}


def restore(optim: torch.optim.Optimizer, saved: dict[str, torch.Tensor]) -> None:
    """The opposite of optimizer_tensors."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for place, value in saved.items():
        if place.startswith("optimizer."):
            _, number, name = place.split(".")
            state.setdefault(int(number), {})[name] = value
    optim.load_state_dict({"state": state, "param_groups": optim.state_dict()["param_groups"]})


def accelerator_for(asked: str, threads: int) -> Accelerator:
    """Accelerate in the precision that this device decides on, with the threads that decide the bits."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    precision = decide(asked, this_device())
    return Accelerator(mixed_precision="no" if precision == "fp32" else precision, cpu=not torch.cuda.is_available())
