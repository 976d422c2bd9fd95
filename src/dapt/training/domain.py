"""The training of a domain: its inputs, and what it does between steps (validation, checkpoints, stopping)."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from dapt.core.config import Params, Train
from dapt.core.files import made_from, whole_folder
from dapt.core.paths import MODELS, TOKENS
from dapt.mlm import masked_lm
from dapt.mlm.batches import Replay, TrainingBatches, valid_batches
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.order import windows_of_step
from dapt.mlm.tokens import read_tokens, token_files
from dapt.mlm.windows import TrainingText, text_on_disk
from dapt.model import checkpoint
from dapt.model.tokenizer import continuations, load_tokenizer
from dapt.telling.errors import UserError
from dapt.telling.events import Events
from dapt.telling.gpu_failures import gpu_failures
from dapt.training import graphs, resume
from dapt.training.code import deciding
from dapt.training.loop import SMALLER, Asked, Course, Run, Start, fit, mean_loss
from dapt.training.optimization.divergence import Diverged
from dapt.training.optimization.optimizer import optimizer_tensors
from dapt.training.optimization.schedule import Schedule, length
from dapt.training.saving import Saver

BASE = MODELS / "base"
CODE = "dapt.stages.train"  # the module whose imports determine the results


@dataclass(frozen=True)
class Prepared:
    """A training that is ready to start."""

    domain: str
    settings: Train
    text: TrainingText
    valid: TrainingText
    replay: Replay | None
    continues: np.ndarray | None
    network: PreTrainedModel
    masked_lm: MaskedLM
    parameters: int
    precision: str
    processes: int
    device: str
    inputs: list[dict[str, str]]  # path and hash of each input
    decides: dict[str, object]  # everything that its results depend on
    state: Path  # the folder of its resume state

    @property
    def replay_share(self) -> float:
        return self.replay.share if self.replay else 0.0

    @property
    def steps(self) -> int:
        settings, own = self.settings, self.settings.batch * (1 - self.replay_share)
        return length(
            settings.steps,
            settings.epochs,
            settings.tokens,
            len(self.text.windows),
            own,
            int(self.text.tokens.offsets[-1]),
        )

    @property
    def epochs(self) -> float:
        """How many times the text is read."""
        return round(self.steps * self.settings.batch * (1 - self.replay_share) / len(self.text.windows), 3)

    @property
    def batches(self) -> TrainingBatches:
        settings = self.settings
        return TrainingBatches(self.text, settings.batch, settings.mask, settings.seed, self.continues, self.replay)

    @property
    def schedule(self) -> Schedule:
        settings = self.settings
        return Schedule(
            self.steps, settings.lr, settings.warmup, settings.weight_decay, settings.clip, settings.schedule
        )

    def facts(self) -> dict[str, object]:
        """The facts of the event `started`."""
        return {
            "parameters": self.parameters,
            "windows": len(self.text.windows),
            "window": self.settings.window,
            "steps": self.steps,
            "epochs": self.epochs,
            "batch": self.settings.batch,
            "precision": self.precision,
            "processes": self.processes,
            "device": self.device,
        }

    def save(self, folder: Path) -> None:
        """Save the current weights, with the base's pooler and tokenizer."""
        checkpoint.save(self.network, checkpoint.pooler(BASE, self.network.base_model_prefix), BASE, folder)


def prepare(params: Params, domain: str, accelerator: Accelerator) -> Prepared:
    """Read the base and the tokens, and pack the documents into windows in the folder of the resume state."""
    settings, world = params.active.train, accelerator.num_processes
    if settings.batch % (world * settings.parts):
        raise UserError(
            f"train.batch {settings.batch} cannot be divided among {world} processes in {settings.parts} parts each; "
            "make it a multiple of their product"
        )
    torch.use_deterministic_algorithms(settings.deterministic)
    tokenizer, special = load_tokenizer(BASE)
    network, audit = checkpoint.load(BASE, settings.seed)
    checkpoint.check_fits(network, special, settings.window)
    if settings.gradient_checkpointing:
        network.gradient_checkpointing_enable()
    model = MaskedLM(network, settings.dropout)
    precision = accelerator.mixed_precision.replace("no", "fp32")
    share = 0.0 if domain == params.control else settings.replay
    replayed = token_files(TOKENS / params.control, "train") if share else ()
    inputs = made_from(TOKENS / domain, *replayed, BASE)
    decides = {"data": inputs, "precision": precision} | deciding(CODE)
    decides |= {f"train.{name}": value for name, value in settings.model_dump().items()}
    state = resume.folder_of(domain, decides)

    def text(of: str, name: str, kind: str) -> TrainingText:
        return text_on_disk(
            state / f"windows-{kind}", read_tokens(TOKENS / of, name, special), settings.window, special
        )

    with accelerator.main_process_first():
        train_text, valid_text = text(domain, "train", "train"), text(domain, "valid", "valid")
        replay = Replay(text(params.control, "train", "general"), share) if share else None
    return Prepared(
        domain,
        settings,
        train_text,
        valid_text,
        replay,
        continuations(tokenizer) if settings.whole_words else None,
        network,
        model,
        audit.parameters,
        precision,
        world,
        accelerator.device.type,
        inputs,
        decides,
        state,
    )


class DomainRun(Run):
    """Computes the loss on valid, keeps weights, saves checkpoints, and stops when it is asked to."""

    def __init__(self, ready: Prepared, accelerator: Accelerator, events: Events):
        self.ready, self.accelerator, self.settings = ready, accelerator, ready.settings
        self.name, self.parts, self.compiled = ready.domain, ready.settings.parts, ready.settings.compile
        self.graphs = graphs.wanted(ready.device, ready.processes, bool(ready.masked_lm.head), self.settings)
        self.events = events
        self.looks = valid_batches(ready.valid, self.settings.batch, self.settings.valid_windows, self.settings.mask)
        self.signals: list[int] = []
        self.course = Course()
        self.saver, self.saved = Saver(ready.state), time.monotonic()

    def tell(self, event: str, **facts: object) -> None:
        self.events.tell(event, **facts)

    def train(self) -> Course:
        """Train from the newest checkpoint, or from the base."""
        with gpu_failures(SMALLER, self._kept):
            try:
                with self.saver:
                    self._fit()
            except Diverged as error:
                raise self._located(error) from error
        return self.course

    def _fit(self) -> None:
        start = self._resumed()
        self.course = start.course
        self.ready.masked_lm.to(self.accelerator.device)
        if not start.step:
            self._look(0, start.course)
        fit(self.accelerator, self.ready.masked_lm, self.ready.batches, self.ready.schedule, self, start)
        try:
            self._tell_saved(wait=True)
        except (UserError, OSError) as error:
            if len(self.course.train) < self.ready.steps:
                raise
            print(f"{self.name}: {error} (the training is finished, so this checkpoint is not needed)", flush=True)

    def _resumed(self) -> Start:
        if found := resume.latest(self.ready.state):
            tensors, facts, step = found
            masked_lm.restore(self.ready.masked_lm, tensors)
            self.tell("resumed", step=step)
            return Start(tensors, Course(**facts), step)
        if self.accelerator.is_main_process:
            for line in resume.passed_over(self.ready.state, self.name, self.ready.decides):
                print(line, flush=True)
        return Start({}, Course(), 0)

    def pause(self, step: int) -> bool:
        settings = self.settings
        return step % settings.valid_every == 0 or step % settings.save_every == 0 or step in settings.keep

    def asked(self) -> Asked:
        self._tell_saved()
        return Asked(bool(self.signals), time.monotonic() - self.saved >= 60 * self.settings.save_minutes)

    def visit(self, step: int, optim: torch.optim.Optimizer, course: Course, asked: Asked) -> bool:
        main, last = self.accelerator.is_main_process, step == self.ready.steps
        if step % self.settings.valid_every == 0 or last:
            self._look(step, course)
        if main and step in self.settings.keep:
            with whole_folder(self.ready.state / f"checkpoint-{step}") as folder:
                self.ready.save(folder)
        if not last and (any(asked) or step % self.settings.save_every == 0):
            if main:
                self._tell_saved(wait=True)
                tensors = masked_lm.state(self.ready.masked_lm) | optimizer_tensors(optim)
                self.saver.save(step, tensors, vars(course))
            self.saved = time.monotonic()
        return asked.leave

    def _tell_saved(self, wait: bool = False) -> None:
        if step := self.saver.whole(wait):
            self.tell("checkpoint", step=step)

    def _look(self, step: int, course: Course) -> None:
        course.valid.append((step, mean_loss(self.accelerator, self.ready.masked_lm, self.looks)))
        self.tell("valid", step=step, loss=course.valid[-1][1])

    def _kept(self) -> str:
        newest = resume.newest(self.ready.state) or "the base"
        return (
            f"the error came after step {len(self.course.train)}, the last one whose loss was read; the last good checkpoint "
            f"is {newest}"
        )

    def _located(self, error: Diverged) -> UserError:
        """The same error, with the documents of the batch and the checkpoint before it."""
        lines = list(self._lines_of(error.step))
        return UserError(
            f"{error.what} in step {error.step}, whose text is lines {', '.join(map(str, lines[:20]))} "
            f"{'and more ' if len(lines) > 20 else ''}of data/split/{self.name}/train.jsonl; the last good "
            f"checkpoint is {resume.newest(self.ready.state) or 'the base'}; lower train.lr, or set "
            "train.precision to fp32"
        )

    def _lines_of(self, step: int) -> Iterator[int]:
        """The line numbers of the domain's documents that a step (counted from 1) reads; replayed text is not included."""
        text, windows = self.ready.text, self.ready.text.windows
        own, _ = self.ready.batches.places(step - 1)
        rows = windows_of_step(len(windows), own, self.settings.seed)
        starts = np.concatenate([windows.starts[windows.bounds[row] : windows.bounds[row + 1]] for row in rows])
        yield from np.unique(np.searchsorted(text.tokens.offsets, starts, "right")).tolist()
