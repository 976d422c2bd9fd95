"""The training loop, under accelerate: AdamW, warm-up and decay, clipping; the same bits from the same start.

The loop knows nothing of domains or files: it is given a model, a function step → batch, and a Run, which says what to
do now and then.
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

SMALLER = "make train.parts larger, or train.batch or train.window smaller"  # what a training out of memory is told


@dataclass
class Course:
    """What a training has been through: the loss of each step (None where fp16 had none and the step was left out), and
    (step, loss on valid) at each look."""

    train: list[float | None] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)
    tokens: int = 0  # seen, without [CLS], [SEP] and padding
    predicted: int = 0
    skipped: int = 0  # steps that the fp16 scaler left out, since a gradient was too large for it
    scaler: dict = field(default_factory=dict)


class Asked(NamedTuple):
    """What is asked of a training between two of its steps."""

    leave: bool = False
    save: bool = False


class Start(NamedTuple):
    """Where a training begins: the optimizer's tensors, the course so far and the steps done."""

    tensors: dict[str, torch.Tensor]
    course: Course
    step: int


class Run:
    """What a training is asked and told between its steps; a stage overrides what it needs."""

    name = "training"
    parts = 1  # in which a process takes its share of a batch, one after the other
    compiled = False
    graphs = False  # steps are CUDA graphs

    def pause(self, step: int) -> bool:
        """Whether to visit after this many steps."""
        return False

    def visit(self, step: int, optim: torch.optim.Optimizer, course: Course, asked: Asked) -> bool:
        """Called where `pause` is true, where something is asked for, and after the last step; True stops the training."""
        return False

    def asked(self) -> Asked:
        return Asked()

    def tell(self, event: str, **facts: object) -> None:
        """What programs are told (dapt.telling.events)."""


def mean_loss(accelerator: Accelerator, model: MaskedLM, batches: Iterable[Batch]) -> float:
    """Loss per predicted token over fixed batches, dropout off, in the precision of the training."""
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
    """A model, its optimizer and its course while it is trained."""

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
        self.rate = torch.zeros((), device=accelerator.device)  # what a graph reads as its learning rate
        self.captures, self.eager = run.graphs, 0  # whether a graph is still to be made, and steps done without
        self.unread: list[torch.Tensor] = []  # of each step since the last look its loss, and whether it was left out

    def step(self, done: int, batch: Batch) -> None:
        """The step after which `done` are done."""
        predicted, rate = int((batch.labels != IGNORED).sum()), self.schedule.rate(done - 1)
        divisor = max(1, predicted)  # of unknown tokens alone none is predicted
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
        """Clip, and let the optimizer step; the loss, and whether the step was left out."""
        self.accelerator.clip_grad_norm_(
            [value for value in self.model.parameters() if value.requires_grad], self.schedule.clip
        )
        told = torch.stack([loss, will_be_skipped(self.accelerator, self.optim)])
        self.optim.step()
        return told

    def _capture(self, batch: Batch, predicted: int) -> None:
        """Make a graph of a step, once; nothing is learned from the batch yet."""
        self.captures = False
        for group in self.optim.param_groups:
            group["lr"], group["capturable"] = self.rate, True

        def body(tensors: tuple[torch.Tensor, ...], count: torch.Tensor) -> torch.Tensor:
            pieces = list(zip(*(tensor.chunk(self.parts) for tensor in tensors)))
            return self._update(backward(self.accelerator, self.model, self.forward, pieces, count))

        try:
            self.graph = graphs.StepGraph(body, batch, predicted, self.accelerator.device)
        except RuntimeError as error:  # out of memory too: a graph holds its own
            if self.accelerator.scaler:
                self.accelerator.scaler._per_optimizer_states.clear()  # of the step that was not finished
            self._without_graph(f"the capture failed ({short(error)})")

    def _without_graph(self, why: str) -> None:
        self.graph = None
        self.optim.zero_grad()
        print(f"{self.run.name}: steps are not CUDA graphs: {why}; small batches are slower without", flush=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def visited(self, done: int, wish: Asked) -> bool:
        """Have the run look at the training; where the memory that a graph holds is missing there, it goes."""
        self.course.scaler = self.accelerator.scaler.state_dict() if self.accelerator.scaler else {}
        try:
            return self.run.visit(done, self.optim, self.course, wish)
        except torch.OutOfMemoryError:
            if not self.graph:
                raise
        self._without_graph("there is no memory for both a graph and a look at the loss on valid")
        return self.run.visit(done, self.optim, self.course, wish)

    def _backward_that_fits(self, batch: Batch, predicted: int) -> torch.Tensor:
        """Where a batch does not fit into memory, its parts are halved."""
        world, device = self.accelerator.num_processes, self.accelerator.device
        # A GPU multiplies by the reciprocal of a number, and divides by a tensor, which is what a graph has.
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
                    f"{self.run.name}: out of memory{f' ({text})' * others}; the batch is taken in {self.parts} parts from "
                    "now on",
                    flush=True,
                )
                torch.cuda.empty_cache()

    def read(self, wish: Asked) -> Asked:
        """Add the losses of the steps since the last look to the course; return what is asked of any process, since
        they leave together."""
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
    """Train the parameters of `model` that require a gradient, in place, and return the course."""
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
    """Add the gradients of this process's share of a batch, in pieces; return its part of the loss per predicted token."""
    world, total = accelerator.num_processes, torch.zeros((), device=accelerator.device)
    for number, piece in enumerate(pieces, 1):
        with nullcontext() if number == len(pieces) else accelerator.no_sync(prepared):
            loss = forward(*piece).sum() / predicted
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
        raise UserError(out_of_memory(SMALLER, f" with {share // parts} windows at a time")) from error
    return 2 * parts


def compile_static(model: nn.Module) -> Callable:
    """Compiled for static shapes; deterministic algorithms, without which no two compiled runs agree."""
    if not any(map(which, ("c++", "g++", "clang++"))):
        raise UserError("train.compile needs a C++ compiler, and none is on PATH; install g++ or set it to false")
    torch.use_deterministic_algorithms(True)
    return torch.compile(model, dynamic=False)


def real_tokens(batch: Batch) -> int:
    """Tokens of text in a batch: slots of a text less its [CLS] and [SEP]."""
    return int((batch.segments > 0).sum() - 2 * ((batch.positions == 0) & (batch.segments > 0)).sum())
