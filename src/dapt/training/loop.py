"""The training loop, based on accelerate: AdamW, warm-up and decay, gradient clipping; bit-identical from the same start.

The loop knows nothing about domains or files: it gets a model, a function step → batch, and a Run, which defines what happens
between steps.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from shutil import which
from typing import NamedTuple

import torch
from accelerate import Accelerator
from torch import nn

from dapt.mlm.batches import Batch
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.masks import IGNORED
from dapt.telling.errors import UserError, short
from dapt.telling.gpu_failures import memory, out_of_memory
from dapt.telling.progress import Progress
from dapt.training import graphs
from dapt.training.optimization.divergence import READ_EVERY, Skips, will_be_skipped
from dapt.training.optimization.optimizer import optimizer, restore
from dapt.training.optimization.schedule import Schedule

SMALLER = "make train.parts larger, or train.batch or train.window smaller"  # advice when a training runs out of memory


@dataclass
class Course:
    """The history of a training: the loss of each step (None if the fp16 scaler skipped it without a finite loss), and
    (step, loss on valid) for each validation."""

    train: list[float | None] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)
    tokens: int = 0  # tokens read, without [CLS], [SEP] and padding
    predicted: int = 0
    skipped: int = 0  # steps that the fp16 scaler skipped because a gradient was not finite
    scaler: dict = field(default_factory=dict)


class Asked(NamedTuple):
    """What a training is asked to do between two steps."""

    leave: bool = False
    save: bool = False


class Start(NamedTuple):
    """Where a training starts: the optimizer's tensors, the history so far and the number of completed steps."""

    tensors: dict[str, torch.Tensor]
    course: Course
    step: int


class Run:
    """Hooks that the loop calls between steps; a stage overrides those that it needs."""

    name = "training"
    parts = 1  # a process splits its share of a batch into so many parts, one after the other
    compiled = False
    graphs = False  # run steps as CUDA graphs

    def pause(self, step: int) -> bool:
        """Whether to call `visit` after this many steps."""
        return False

    def visit(self, step: int, optim: torch.optim.Optimizer, course: Course, asked: Asked) -> bool:
        """Called when `pause` is true, when `asked` asks for something, and after the last step; True stops the training."""
        return False

    def asked(self) -> Asked:
        return Asked()

    def tell(self, event: str, **facts: object) -> None:
        """Emit an event for other programs (dapt.telling.events)."""


def mean_loss(accelerator: Accelerator, model: MaskedLM, batches: Iterable[Batch]) -> float:
    """Loss per predicted token over fixed batches, without dropout, in the precision of the training."""
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad(), accelerator.autocast():
        for batch in batches:
            total += model(*batch.tensors(accelerator.device)).double().sum().item()
            count += int((batch.labels != IGNORED).sum())
    model.train(was_training)
    return total / count


class _Loop:
    """The state of a running training: model, optimizer and history."""

    def __init__(self, accelerator: Accelerator, model: MaskedLM, schedule: Schedule, run: Run, start: Start):
        self.accelerator, self.schedule, self.run, self.parts = accelerator, schedule, run, run.parts
        self.course, self.skips = start.course, Skips(start.course.skipped)
        optim = optimizer(model.named_parameters(), schedule.weight_decay)
        if start.step:
            restore(optim, start.tensors)
        self.model, self.optim = accelerator.prepare(model, optim)
        self.model.train()
        self.forward: Callable = compile_static(self.model) if run.compiled else self.model
        if self.course.scaler and accelerator.scaler:
            accelerator.scaler.load_state_dict(self.course.scaler)
        self.graph: graphs.StepGraph | None = None
        self.rate = torch.zeros((), device=accelerator.device)  # the learning rate, as a tensor that a graph reads
        self.captures, self.eager = run.graphs, 0  # whether a graph is still to be captured, and eager steps so far
        self.unread: list[torch.Tensor] = []  # per step since the last read: its loss, and whether it was skipped

    def step(self, done: int, batch: Batch) -> None:
        """Run step number `done`, counted from 1."""
        predicted, rate = int((batch.labels != IGNORED).sum()), self.schedule.rate(done - 1)
        divisor = max(1, predicted)  # a batch of nothing but unknown tokens has no predictions
        if self.captures and self.eager == graphs.EAGER:
            self._capture(batch, divisor)
        if self.graph:
            self.rate.fill_(rate)
            self.unread.append(self.graph.replay(batch, divisor))
        else:
            for group in self.optim.param_groups:
                group["lr"] = rate
            self.unread.append(self._update(self._backward_that_fits(batch, divisor)))
            self.optim.zero_grad()
            self.eager += 1
        self.course.predicted += predicted
        self.course.tokens += real_tokens(batch)

    def _update(self, loss: torch.Tensor) -> torch.Tensor:
        """Clip the gradients and step the optimizer; return the loss, and whether the step was skipped."""
        self.accelerator.clip_grad_norm_(
            [value for value in self.model.parameters() if value.requires_grad], self.schedule.clip
        )
        told = torch.stack([loss, will_be_skipped(self.accelerator, self.optim)])
        self.optim.step()
        return told

    def _capture(self, batch: Batch, predicted: int) -> None:
        """Capture a step as a graph, once; this does not train on the batch yet."""
        self.captures = False
        for group in self.optim.param_groups:
            group["lr"], group["capturable"] = self.rate, True

        def body(tensors: tuple[torch.Tensor, ...], count: torch.Tensor) -> torch.Tensor:
            pieces = list(zip(*(tensor.chunk(self.parts) for tensor in tensors)))
            return self._update(backward(self.accelerator, self.model, self.forward, pieces, count))

        try:
            self.graph = graphs.StepGraph(body, batch, predicted, self.accelerator.device)
        except RuntimeError as error:  # includes out of memory: a graph needs memory of its own
            if self.accelerator.scaler:
                self.accelerator.scaler._per_optimizer_states.clear()  # state of the unfinished step
            self._without_graph(f"the capture failed ({short(error)})")

    def _without_graph(self, why: str) -> None:
        self.graph = None
        self.optim.zero_grad()
        print(f"{self.run.name}: training without CUDA graphs: {why}; small batches will be slower", flush=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def visited(self, done: int, wish: Asked) -> bool:
        """Call the run's `visit`; if it runs out of memory, free the graph's memory and call it again."""
        self.course.scaler = self.accelerator.scaler.state_dict() if self.accelerator.scaler else {}
        try:
            return self.run.visit(done, self.optim, self.course, wish)
        except torch.OutOfMemoryError:
            if not self.graph:
                raise
        self._without_graph("there is not enough memory for both a graph and the validation")
        return self.run.visit(done, self.optim, self.course, wish)

    def _backward_that_fits(self, batch: Batch, predicted: int) -> torch.Tensor:
        """Forward and backward pass; while the batch does not fit into memory, its parts are halved."""
        world, device = self.accelerator.num_processes, self.accelerator.device
        # A GPU multiplies by the reciprocal of a Python number but divides by a tensor; graphs have a tensor, so use one here.
        count = predicted if device.type == "cpu" else torch.full((), float(predicted), device=device)
        while True:
            try:
                pieces = [
                    piece.tensors(device) for piece in shares(batch, self.accelerator.process_index, world, self.parts)
                ]
                return backward(self.accelerator, self.model, self.forward, pieces, count)
            except torch.OutOfMemoryError as error:
                self.optim.zero_grad()
                self.parts = halved(self.parts, len(batch.ids) // world, world, error)
                text, others = memory()
                print(
                    f"{self.run.name}: out of memory{f' ({text})' * others}; from now on the batch is processed in "
                    f"{self.parts} parts",
                    flush=True,
                )
                torch.cuda.empty_cache()

    def read(self, wish: Asked) -> Asked:
        """Add the losses of the steps since the last read to the history; return what any of the processes is asked to do,
        since they must stop together."""
        flags = torch.tensor([wish], dtype=torch.float32, device=self.accelerator.device)
        *steps, (leave, save) = self.accelerator.reduce(torch.cat([torch.stack(self.unread), flags]), "sum").tolist()
        for loss, skipped in steps:
            step = len(self.course.train) + 1
            self.course.train.append(self.skips.check(step, skipped > 0, loss, self.accelerator.scaler))
        self.course.skipped = self.skips.total
        self.unread.clear()
        return Asked(leave > 0, save > 0)


def fit(
    accelerator: Accelerator,
    model: MaskedLM,
    batch_of: Callable[[int], Batch],
    schedule: Schedule,
    run: Run,
    start: Start | None = None,
) -> Course:
    """Train the parameters of `model` that require a gradient, in place, and return the history."""
    start = start or Start({}, Course(), 0)
    loop = _Loop(accelerator, model, schedule, run, start)
    progress = Progress(run.name, schedule.steps, start.step, shown=accelerator.is_main_process, tell=run.tell)
    for done in range(start.step + 1, schedule.steps + 1):
        before = loop.course.tokens
        loop.step(done, batch_of(done - 1))
        wish = run.asked()
        halt = run.pause(done) or done == schedule.steps or (accelerator.num_processes == 1 and any(wish))
        if halt or len(loop.unread) == READ_EVERY:
            wish = loop.read(wish)
            halt = halt or any(wish)
        last = loop.course.train[-1] if loop.course.train else None
        progress.advance(loop.course.tokens - before, **({} if last is None else {"loss": last}))
        if halt and loop.visited(done, wish):
            break
    progress.close()
    return loop.course


def backward(
    accelerator: Accelerator,
    prepared: nn.Module,
    forward: Callable,
    pieces: list[tuple[torch.Tensor, ...]],
    predicted: int | torch.Tensor,
) -> torch.Tensor:
    """Accumulate the gradients of this process's share of a batch, given in pieces; return its part of the loss per predicted
    token."""
    world, total = accelerator.num_processes, torch.zeros((), device=accelerator.device)
    for number, piece in enumerate(pieces, 1):
        with nullcontext() if number == len(pieces) else accelerator.no_sync(prepared):
            loss = forward(*piece).sum() / predicted
            accelerator.backward(loss * world)  # accelerate averages gradients over processes, but the loss is a sum
        total += loss.detach()
    return total


def shares(batch: Batch, rank: int, world: int, parts: int) -> Iterator[Batch]:
    """The rows of process `rank` out of `world`, in `parts` parts of equal size."""
    size = len(batch.ids) // world // parts
    for part in range(rank * parts, (rank + 1) * parts):
        yield batch.rows(part * size, (part + 1) * size)


def halved(parts: int, share: int, world: int, error: Exception) -> int:
    """Twice as many parts of a process's share of rows, or a UserError if they cannot be halved.

    Several processes would not run out of memory in the same step, so with more than one the user must choose.
    """
    if world > 1 or share % (2 * parts):
        raise UserError(out_of_memory(SMALLER, f" with {share // parts} windows at a time")) from error
    return 2 * parts


def compile_static(model: nn.Module) -> Callable:
    """Compile the model for static shapes, with deterministic algorithms: without them two compiled runs would differ."""
    if not any(map(which, ("c++", "g++", "clang++"))):
        raise UserError(
            "train.compile needs a C++ compiler, but none is on PATH; install g++, or set train.compile to false"
        )
    torch.use_deterministic_algorithms(True)
    return torch.compile(model, dynamic=False)


def real_tokens(batch: Batch) -> int:
    """Number of text tokens in a batch, without [CLS], [SEP] and padding."""
    return int((batch.segments > 0).sum() - 2 * ((batch.positions == 0) & (batch.segments > 0)).sum())
