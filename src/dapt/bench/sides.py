"""The two sides of `dapt bench train`: dapt's training step, and transformers' Trainer with the same texts, model, number of
steps and threads.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from transformers import BertConfig, BertForMaskedLM, PreTrainedModel

from dapt.bench.turns import MEGA, peak_mb
from dapt.core import config
from dapt.core.files import read_lines
from dapt.core.paths import MODELS, PROCESSED
from dapt.mlm.batches import Batch, TrainingBatches, valid_batches
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.masks import most_picks
from dapt.mlm.tokens import Tokens, encode, read_tokens, write_tokens
from dapt.mlm.windows import text_in_memory
from dapt.model.architectures import set_dropout
from dapt.model.checkpoint import load
from dapt.model.tokenizer import Special, load_tokenizer
from dapt.training.loop import Run, fit, mean_loss
from dapt.training.optimization.device import accelerator_for
from dapt.training.optimization.schedule import Schedule

WINDOW = 128
CORPORA = {"biomed": ["biomed_mlm"], "finance": ["finance_mlm1", "finance_mlm2"]}
HELD = 20  # one document out of so many is held out
HELD_WINDOWS = 64
SKIPPED = 3  # first steps, which are not timed: they compile, and allocate memory that is reused afterwards
SKIPPED_ON_GPU = 10  # the first steps do not run as graphs, and the GPU's clocks rise


@dataclass(frozen=True)
class Kind:
    """A model: its shape, or None for the base that `dvc repro` made; windows per step, steps, learning rate, and whether
    dapt's step is compiled in the main rows."""

    shape: dict | None
    batch: int
    steps: int
    lr: float
    compiled: bool


@dataclass(frozen=True)
class Task:
    """The common input of both sides: a model, and the folder with the texts' tokens."""

    kind: Kind
    tokens: Path
    window: int = WINDOW

    @property
    def schedule(self) -> Schedule:
        settings = config.load().active.train
        return Schedule(self.kind.steps, self.kind.lr, self.kind.steps // 10, settings.weight_decay, settings.clip)

    def model(self) -> PreTrainedModel:
        if self.kind.shape is None:
            return load(MODELS / "base")[0]
        torch.manual_seed(0)
        return BertForMaskedLM(BertConfig(**self.kind.shape))


def full_windows(documents: Iterable[list[int]], window: int = WINDOW) -> Iterator[list[int]]:
    """The documents cut into pieces that fill a window; the rest at a document's end is dropped."""
    size = window - 2
    for ids in documents:
        for start in range(0, len(ids) - size + 1, size):
            yield ids[start : start + size]


def of_a_window(documents: Iterable[list[int]], window: int = WINDOW) -> Iterator[list[int]]:
    return (ids for ids in documents if 0 < len(ids) <= window - 2)


def joined(rows: list[dict]) -> list[str]:
    """The texts of each group joined: definitions with the same parent."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row["text"])
    return [" ".join(texts) for texts in groups.values()]


def prepare(folder: Path, window: int = WINDOW) -> None:
    """Write tokens of both kinds of text to folder/biomed and folder/finance, as sets train and heldout."""
    tokenizer, special = load_tokenizer(MODELS / "base")
    for text, corpora in CORPORA.items():
        rows = [row for corpus in corpora for row in read_lines(PROCESSED / f"{corpus}.jsonl")]
        texts = joined(rows) if text == "biomed" else [row["text"] for row in rows]
        cut = full_windows if text == "biomed" else of_a_window
        for name, chosen in (("heldout", texts[::HELD]), ("train", [t for i, t in enumerate(texts) if i % HELD])):
            write_tokens(folder / text, name, cut(encode(tokenizer, chosen), window), special)


class Clock(Run):
    """Records the time at the end of each step; a GPU runs asynchronously, so it is synchronised when the timing starts and
    ends."""

    name = "ours"

    def __init__(self, steps: int, compiled: bool, graphed: bool):
        self.steps, self.compiled, self.graphs = steps, compiled, graphed
        self.ends: list[float] = []

    def pause(self, step: int) -> bool:
        if torch.cuda.is_available() and step in (SKIPPED_ON_GPU, self.steps):
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        return False


def ours(task: Task, precision: str, compiled: bool, graphed: bool = False, dropout: float = 0.0) -> dict:
    settings = config.load().active.train
    accelerator = accelerator_for(precision, settings.threads)
    _, special = load_tokenizer(MODELS / "base")
    text = read_tokens(task.tokens, "train", special)
    batches = TrainingBatches(text_in_memory(text, task.window, special), task.kind.batch, settings.mask, settings.seed)
    masked_lm = MaskedLM(task.model(), dropout)
    slots, clock = [], Clock(task.kind.steps, compiled, graphed)

    def batch_of(step: int) -> Batch:
        batch = batches(step)
        slots.append((int((batch.segments > 0).sum()), batch.ids.size))
        return batch

    course = fit(accelerator, masked_lm.to(accelerator.device), batch_of, task.schedule, clock)
    peak, gemm = _peak_mb(), gemm_peak(accelerator.mixed_precision, accelerator.device)
    figures = _figures(slots, clock.ends, torch.cuda.is_available())
    picks = task.kind.batch * most_picks(task.window, settings.mask)
    work = step_flops(cast(BertConfig, masked_lm.model.config), task.kind.batch, task.window, picks)
    return figures | {
        "steps": len(course.train),
        "loss": _heldout(accelerator, masked_lm.model, task, special),
        "peak_mb": peak,
        "gemm_gflops": gemm,
        "gemm_share": work / 1e9 / figures["seconds"] / gemm,
    }


def peer(task: Task, precision: str, dropout: float | None, compiled: bool = False) -> dict:
    """The Trainer with its defaults, with `dropout` if given, and with its own torch_compile if `compiled`."""
    from transformers import AutoTokenizer, DataCollatorForLanguageModeling, Trainer, TrainerCallback, TrainingArguments

    settings, schedule = config.load().active.train, task.schedule
    torch.set_num_threads(settings.threads)
    _, special = load_tokenizer(MODELS / "base")
    model = task.model()
    if dropout is not None:
        set_dropout(model, dropout)
    collate = DataCollatorForLanguageModeling(
        AutoTokenizer.from_pretrained(MODELS / "base"), mlm_probability=settings.mask
    )
    slots, clock = [], Clock(schedule.steps, False, False)

    def collated(rows: list[dict]) -> dict:
        batch = collate(rows)
        slots.append((int(batch["attention_mask"].sum()), batch["attention_mask"].numel()))
        return batch

    class PeerClock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            clock.pause(len(clock.ends) + 1)

    with TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            use_cpu=not torch.cuda.is_available(),
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            torch_compile=compiled,
            per_device_train_batch_size=task.kind.batch,
            dataloader_drop_last=True,  # a shorter batch at an epoch's end would be less work
            max_steps=schedule.steps,
            learning_rate=schedule.lr,
            lr_scheduler_type="linear",
            warmup_steps=schedule.warmup,
            weight_decay=schedule.weight_decay,
            max_grad_norm=schedule.clip,
            seed=settings.seed,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        trainer = Trainer(
            model,
            arguments,
            collated,
            _rows(read_tokens(task.tokens, "train", special), special),
            callbacks=[PeerClock()],
        )
        trainer.train()
    peak = _peak_mb()
    return _figures(slots, clock.ends, torch.cuda.is_available()) | {
        "steps": trainer.state.global_step,
        "peak_mb": peak,
        "loss": _heldout(trainer.accelerator, model, task, special),
    }


def _rows(tokens: Tokens, special: Special) -> list[dict]:
    """One text per row, as scripts usually tokenize them."""
    texts = [tokens.ids[start:stop].tolist() for start, stop in pairwise(tokens.offsets)]
    return [
        {
            "input_ids": [special.cls, *ids, special.sep],
            "attention_mask": [1] * (len(ids) + 2),
            "special_tokens_mask": [1, *[0] * len(ids), 1],
        }
        for ids in texts
    ]


def _heldout(accelerator: Accelerator, model: PreTrainedModel, task: Task, special: Special) -> float:
    """Loss on the held-out windows with fixed masks: the same code for both sides."""
    text = read_tokens(task.tokens, "heldout", special)
    held = valid_batches(text_in_memory(text, task.window, special), 8, HELD_WINDOWS, config.load().active.train.mask)
    return mean_loss(accelerator, MaskedLM(model), held)


def _peak_mb() -> float:
    """Peak memory so far: of the GPU if there is one, else of this process."""
    return torch.cuda.max_memory_allocated() / MEGA if torch.cuda.is_available() else peak_mb()


def _figures(slots: list[tuple[int, int]], ends: list[float], on_gpu: bool) -> dict:
    """Tokens per second, seconds per step, and the share of padding over the timed steps: medians on a CPU, means on a GPU,
    which is not synchronised after each step. `slots` are (tokens, slots) of each step's batch, `ends` the time at the end of
    each step."""
    counts = np.array(slots[: len(ends)])  # the Trainer's loader reads one batch ahead
    first = SKIPPED_ON_GPU if on_gpu else SKIPPED
    tokens, seconds = counts[first:, 0], np.diff(ends)[first - 1 :]
    rate, step = (
        (tokens.sum() / seconds.sum(), seconds.mean()) if on_gpu else (np.median(tokens / seconds), np.median(seconds))
    )
    return {"rate": float(rate), "seconds": float(step), "padding": 1 - counts[:, 0].sum() / counts[:, 1].sum()}


def gemm_peak(precision: str, device: torch.device) -> float:
    """GFLOP/s of multiplying square matrices: the median of many runs."""
    size = 8192 if device.type == "cuda" else 2048
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    left, right = torch.randn(2, size, size, dtype=dtype, device=device)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / 1e9 / statistics.median(seconds)


def step_flops(shape: BertConfig, rows: int, size: int, picks: int) -> int:
    """Floating-point operations of one of dapt's steps: 6 per matrix weight and token, since a weight is used once in the
    forward and twice in the backward pass; for the head only per predicted token; and attention's two products, once forward
    and twice backward."""
    width, layers = shape.hidden_size, shape.num_hidden_layers
    body = layers * (4 * width**2 + 2 * width * shape.intermediate_size)
    head = width**2 + width * shape.vocab_size
    return 6 * body * rows * size + 6 * head * picks + 12 * layers * rows * size**2 * width
