"""The training loop, under accelerate: AdamW, warm-up and linear decay, clipping; the same bits from the same start.

The loop knows nothing of domains or files: it is given a model, a function step → batch, and what to do now and then.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from shutil import which
from typing import NamedTuple

import torch
from accelerate import Accelerator
from torch import nn

from dapt.mlm.batches import IGNORED, Batch
from dapt.telling.errors import UserError
from dapt.model.masked_lm.masked_lm.memory import keep_freed_memory
from dapt.model.masked_lm.masked_lm import MaskedLM, tensors
from dapt.training.device import check_built_for, decide, this_device
from dapt.telling.progress import Progress
from dapt.training.schedule import Schedule

READ_EVERY = 10  # steps between two looks at the losses, each of which makes a GPU wait


@dataclass
class Course:
    """What a training has been through: the loss of each step, and (step, loss on valid) at each look."""

    train: list[float] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)
    tokens: int = 0  # seen, without [CLS], [SEP] and padding
    predicted: int = 0
    skipped: int = 0  # steps that the fp16 scaler left out, since a gradient was too large for it
    scaler: dict = field(default_factory=dict)


class Asked(NamedTuple):
    """What is asked of a training between two of its steps."""

    leave: bool = False
    save: bool = False


class Diverged(UserError):
    """The loss of a step, counted from 1, is not finite, or fp16 can't hold its gradients."""

    def __init__(self, step: int, what: str = "the loss is not finite"):
        super().__init__(f"{what} in step {step}; lower the learning rate, or set train.precision to fp32")
        self.step, self.what = step, what

    def __reduce__(self):
        """Pickled between processes by what it was made from, not by its message."""
        return Diverged, (self.step, self.what)


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
        pause: Callable[[int], bool], visit: Callable[[int, torch.optim.Optimizer, Course, Asked], bool],
        start: tuple[dict[str, torch.Tensor], Course, int] | None = None, asked: Callable[[], Asked] = Asked,
        parts: int = 1, compiled: bool = False) -> Course:
    """Train the parameters of `model` that require a gradient, in place, and return the course.

    `visit(steps done, optimizer, course, asked)` is called where `pause(steps done)` is true, where `asked()` is for
    something, and behind the last step; it stops the training by returning True. `start` is a state to go on from: the
    optimizer's tensors, the course so far and the steps done. A process takes its share of a batch in `parts`, one
    after the other; where one does not fit into memory they are halved.
    """
    optim = optimizer(model.named_parameters(), schedule.weight_decay)
    course, first = Course(), 0
    if start:
        state, course, first = start
        restore(optim, state)
    prepared, optim = accelerator.prepare(model, optim)
    prepared.train()
    forward = compile_static(prepared) if compiled else prepared
    if course.scaler and accelerator.scaler:
        accelerator.scaler.load_state_dict(course.scaler)
    world, in_row = accelerator.num_processes, 0
    progress = Progress(name, schedule.steps, first, shown=accelerator.is_main_process)
    unread: list[torch.Tensor] = []
    for done in range(first + 1, schedule.steps + 1):
        batch = batch_of(done - 1)
        predicted, seen = int((batch.labels != IGNORED).sum()), real_tokens(batch)
        for group in optim.param_groups:
            group["lr"] = schedule.rate(done - 1)
        while True:
            try:
                loss = backward(accelerator, prepared, forward, batch, predicted, parts)
                break
            except torch.OutOfMemoryError as error:
                optim.zero_grad()
                parts = halved(parts, len(batch.ids) // world, world, error)
                print(f"{name}: out of memory; the batch is taken in {parts} parts from now on", flush=True)
                torch.cuda.empty_cache()
        accelerator.clip_grad_norm_([value for value in prepared.parameters() if value.requires_grad], schedule.clip)
        optim.step()
        optim.zero_grad()
        if accelerator.scaler:
            in_row = in_row + 1 if accelerator.optimizer_step_was_skipped else 0
            course.skipped += in_row > 0
            if hopeless(in_row, accelerator.scaler.get_scale()):
                raise Diverged(done, "the gradients are not finite, even unscaled,")
        unread.append(loss)
        course.predicted += predicted
        course.tokens += seen
        wish = asked()
        halt = pause(done) or done == schedule.steps or (world == 1 and any(wish))
        if halt or len(unread) == READ_EVERY:
            flags = torch.tensor(wish, dtype=torch.float32, device=accelerator.device)
            *losses, leave, save = accelerator.reduce(torch.cat([torch.stack(unread), flags]), "sum").tolist()
            wish = Asked(leave > 0, save > 0)  # of any process: they leave together
            halt = halt or any(wish)
            for step, value in enumerate(losses, done - len(losses) + 1):
                if not accelerator.scaler and not math.isfinite(value):
                    raise Diverged(step)
            course.train += losses
            unread.clear()
        progress.advance(seen, loss=course.train[-1] if course.train else math.nan)
        if halt:
            course.scaler = accelerator.scaler.state_dict() if accelerator.scaler else {}
            if visit(done, optim, course, wish):
                break
    progress.close()
    return course


def backward(accelerator: Accelerator, prepared: nn.Module, forward: nn.Module, batch: Batch, predicted: int,
             parts: int) -> torch.Tensor:
    """Add the gradients of this process's share of a batch; return its part of the loss a predicted token."""
    world, total = accelerator.num_processes, torch.zeros((), device=accelerator.device)
    pieces = list(shares(batch, accelerator.process_index, world, parts))
    for piece in pieces:
        with nullcontext() if piece is pieces[-1] else accelerator.no_sync(prepared):
            losses, _ = forward(*tensors(piece, accelerator.device))
            loss = losses.sum() / predicted
            accelerator.backward(loss * world)  # gradients are averaged over the processes, the loss is a sum
        total += loss.detach()
    return total


def shares(batch: Batch, rank: int, world: int, parts: int) -> Iterator[Batch]:
    """The rows of process `rank` of `world`, in `parts` of equal size."""
    size = len(batch.ids) // world // parts
    for part in range(rank * parts, (rank + 1) * parts):
        yield batch.rows(part * size, (part + 1) * size)


def halved(parts: int, share: int, world: int, error: Exception) -> int:
    """Twice as many parts of a process's share of rows, or a UserError where there is none smaller.

    Several processes would not run out of memory in the same step: there the user must choose.
    """
    if world > 1 or share % (2 * parts):
        raise UserError(f"out of memory with {share // parts} windows at a time; make train.parts larger, or train.batch "
                        "or train.window smaller") from error
    return 2 * parts


def hopeless(skipped_in_row: int, scale: float) -> bool:
    """Whether fp16 has failed: three steps in a row left out although the loss is scaled no more."""
    return skipped_in_row >= 3 and scale <= 1


def compile_static(model: nn.Module) -> nn.Module:
    """Compiled for static shapes; deterministic algorithms, without which no two compiled runs agree."""
    if not any(map(which, ("c++", "g++", "clang++"))):
        raise UserError("train.compile needs a C++ compiler, and none is on PATH; install g++ or set it to false")
    torch.use_deterministic_algorithms(True)
    return torch.compile(model, dynamic=False)


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
    device = this_device()
    check_built_for(device)
    precision = decide(asked, device)
    return Accelerator(mixed_precision="no" if precision == "fp32" else precision, cpu=not torch.cuda.is_available())
