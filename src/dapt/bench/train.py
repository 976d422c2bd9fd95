"""`dapt bench train`: tokens a second of our training step against transformers' Trainer, on the processor.

The peer is the Trainer with DataCollatorForLanguageModeling on the same texts, model, number of steps and threads: it
computes logits at every position. Biomedical text is documents longer than a window, cut into full windows on both
sides, so that the step alone is compared. Financial texts fit a window: one a row for the peer, padded to the longest
of its batch, and packed for us. Each run is a process of its own; its first steps, loading and compiling are not timed.
Tokens are those that are not padding, [CLS] and [SEP] counted on both sides.
"""

import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from transformers import BertConfig, BertForMaskedLM, PreTrainedModel

from dapt.bench.turns import apart, peak_mb
from dapt.core import config
from dapt.core.files import read_json, read_lines
from dapt.core.paths import MODELS, PROCESSED
from dapt.mlm.batches import Batch, TrainingBatches, valid_batches
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.masks import most_picks
from dapt.mlm.tokens import Tokens, encode, read_tokens, write_tokens
from dapt.mlm.windows import text_in_memory
from dapt.model.architectures import set_dropout
from dapt.model.checkpoint import load
from dapt.model.tokenizer import Special, load_tokenizer
from dapt.telling.errors import UserError
from dapt.training.loop import Run, fit, mean_loss
from dapt.training.optimization.device import accelerator_for, decide, this_device
from dapt.training.optimization.schedule import Schedule

WINDOW = 128
TINY = 128  # width of the tiny base
CORPORA = {"biomed": ["biomed_mlm"], "finance": ["finance_mlm1", "finance_mlm2"]}
HELD = 20  # one document in so many is held out
HELD_WINDOWS = 64
SKIPPED = 3  # steps at the start that are not timed: they compile, and they take memory that is kept afterwards


@dataclass(frozen=True)
class Kind:
    """A model: its shape, or None for the base that `dvc repro` made; windows a step, steps, learning rate, and whether
    ours is compiled in the rows that count."""

    shape: dict | None
    batch: int
    steps: int
    lr: float
    compiled: bool


KINDS = {
    "tiny": Kind(None, 32, 40, 1e-3, True),
    "minilm": Kind({"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}, 32, 12, 5e-4, True),
    "base": Kind({}, 8, 12, 1e-4, False),  # BertConfig's own shape; compiling it gains nothing
}


@dataclass(frozen=True)
class Task:
    """What both sides of a row are given: a model, and the folder of the texts' tokens."""

    kind: Kind
    tokens: Path

    @property
    def schedule(self) -> Schedule:
        settings = config.load().active.train
        return Schedule(self.kind.steps, self.kind.lr, self.kind.steps // 10, settings.weight_decay, settings.clip)

    def model(self) -> PreTrainedModel:
        if self.kind.shape is None:
            return load(MODELS / "base")[0]
        torch.manual_seed(0)
        return BertForMaskedLM(BertConfig(**self.kind.shape))


def full_windows(documents: Iterable[list[int]]) -> Iterator[list[int]]:
    """The documents cut into pieces that fill a window; what is left at a document's end is dropped."""
    size = WINDOW - 2
    for ids in documents:
        for start in range(0, len(ids) - size + 1, size):
            yield ids[start : start + size]


def of_a_window(documents: Iterable[list[int]]) -> Iterator[list[int]]:
    return (ids for ids in documents if 0 < len(ids) <= WINDOW - 2)


def joined(rows: list[dict]) -> list[str]:
    """The texts of each group in a row: definitions of one parent."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row["text"])
    return [" ".join(texts) for texts in groups.values()]


def prepare(folder: Path) -> None:
    """Tokens of both kinds of text in folder/biomed and folder/finance, sets train and heldout."""
    tokenizer, special = load_tokenizer(MODELS / "base")
    for text, corpora in CORPORA.items():
        rows = [row for corpus in corpora for row in read_lines(PROCESSED / f"{corpus}.jsonl")]
        texts = joined(rows) if text == "biomed" else [row["text"] for row in rows]
        cut = full_windows if text == "biomed" else of_a_window
        for name, chosen in (("heldout", texts[::HELD]), ("train", [t for i, t in enumerate(texts) if i % HELD])):
            write_tokens(folder / text, name, cut(encode(tokenizer, chosen)), special)


class Clock(Run):
    """Notes the time at the end of each step."""

    name = "ours"

    def __init__(self, compiled: bool):
        self.compiled = compiled
        self.ends: list[float] = []

    def pause(self, step: int) -> bool:
        self.ends.append(time.perf_counter())
        return False


def ours(task: Task, precision: str, compiled: bool) -> dict:
    settings = config.load().active.train
    accelerator = accelerator_for(precision, settings.threads)
    _, special = load_tokenizer(MODELS / "base")
    text = read_tokens(task.tokens, "train", special)
    batches = TrainingBatches(text_in_memory(text, WINDOW, special), task.kind.batch, settings.mask, settings.seed)
    masked_lm = MaskedLM(task.model())
    slots, clock = [], Clock(compiled)

    def batch_of(step: int) -> Batch:
        batch = batches(step)
        slots.append((int((batch.segments > 0).sum()), batch.ids.size))
        return batch

    course = fit(accelerator, masked_lm, batch_of, task.schedule, clock)
    ends = clock.ends
    peak, gemm = peak_mb(), gemm_peak(accelerator.mixed_precision)
    seconds = statistics.median(np.diff(ends)[SKIPPED - 1 :])
    picks = task.kind.batch * most_picks(WINDOW, settings.mask)
    work = step_flops(cast(BertConfig, masked_lm.model.config), task.kind.batch, WINDOW, picks)
    return _figures(slots, ends) | {
        "steps": len(course.train),
        "loss": _heldout(accelerator, masked_lm.model, task, special),
        "peak_mb": peak,
        "gemm_gflops": gemm,
        "gemm_share": work / 1e9 / seconds / gemm,
    }


def peer(task: Task, precision: str, dropout: float | None) -> dict:
    """The Trainer as it comes, with `dropout` if one is given."""
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
    slots, ends = [], []

    def collated(rows: list[dict]) -> dict:
        batch = collate(rows)
        slots.append((int(batch["attention_mask"].sum()), batch["attention_mask"].numel()))
        return batch

    class PeerClock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            ends.append(time.perf_counter())

    with TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            use_cpu=True,
            bf16=precision == "bf16",
            per_device_train_batch_size=task.kind.batch,
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
    peak = peak_mb()
    return _figures(slots, ends) | {
        "steps": trainer.state.global_step,
        "peak_mb": peak,
        "loss": _heldout(trainer.accelerator, model, task, special),
    }


def _rows(tokens: Tokens, special: Special) -> list[dict]:
    """A text a row, as the usual script tokenizes them."""
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
    """Loss on the held-out windows under fixed masks: the same code for both sides."""
    text = read_tokens(task.tokens, "heldout", special)
    held = valid_batches(text_in_memory(text, WINDOW, special), 8, HELD_WINDOWS, config.load().active.train.mask)
    return mean_loss(accelerator, MaskedLM(model), held)


def _figures(slots: list[tuple[int, int]], ends: list[float]) -> dict:
    """Median over the timed steps of tokens a second, and the share of padding; `slots` are (tokens, slots) of each
    step's batch, `ends` the time at the end of each step."""
    counts = np.array(slots[: len(ends)])  # the Trainer's loader reads a batch ahead
    rates = counts[1:, 0] / np.diff(ends)
    return {"rate": float(np.median(rates[SKIPPED - 1 :])), "padding": 1 - counts[:, 0].sum() / counts[:, 1].sum()}


def gemm_peak(precision: str) -> float:
    """GFLOP/s of a multiplication of square matrices: the median of many."""
    size = 2048
    left, right = torch.randn(2, size, size, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / 1e9 / statistics.median(seconds)


def step_flops(shape: BertConfig, rows: int, size: int, picks: int) -> int:
    """Of a step of ours: 6 for each weight of a matrix and token, as a weight is multiplied once forwards and twice
    backwards; the head's for each pick only; and attention's two products, forwards and twice backwards."""
    width, layers = shape.hidden_size, shape.num_hidden_layers
    body = layers * (4 * width**2 + 2 * width * shape.intermediate_size)
    head = width**2 + width * shape.vocab_size
    return 6 * body * rows * size + 6 * head * picks + 12 * layers * rows * size**2 * width


def measure(kinds: dict[str, Kind], rounds: int) -> Iterator[dict]:
    """The lines of each model and text, as soon as they are measured."""
    best = decide("auto", this_device())
    with TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder)
        for name, kind in kinds.items():
            for text in CORPORA:
                task = Task(kind, folder / text)
                jobs: dict[str, tuple] = {
                    "ours": (ours, task, best, kind.compiled),
                    "fp32": (peer, task, "fp32", None),
                    "best": (peer, task, best, None),
                }
                rows = [("fp32", "ours", "fp32"), ("best", "ours", "best")]
                if kind.compiled:
                    jobs["eager"] = (ours, task, best, False)
                    rows += [("fp32/eager", "eager", "fp32"), ("best/eager", "eager", "best")]
                if text == "biomed":
                    jobs["no-dropout"] = (peer, task, best, 0.0)
                    rows.append(("best/no-dropout", "ours", "no-dropout"))
                turns = [{job: apart(*call) for job, call in jobs.items()} for _ in range(rounds)]
                for row, mine, theirs in rows:
                    yield _line(
                        f"train/{name}/{text}/{row}",
                        *(_medians([turn[job] for turn in turns]) for job in (mine, theirs)),
                    ) | {"precision": best, "compiled": jobs[mine][-1]}


def _medians(results: list[dict]) -> dict:
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def _line(name: str, mine: dict, theirs: dict) -> dict:
    return {
        "name": name,
        "ours": round(mine["rate"], 1),
        "peer": round(theirs["rate"], 1),
        "ratio": round(mine["rate"] / theirs["rate"], 2),
        "unit": "tokens/s",
        "loss": round(mine["loss"], 4),
        "peer_loss": round(theirs["loss"], 4),
        "peak_mb": round(mine["peak_mb"]),
        "peer_peak_mb": round(theirs["peak_mb"]),
        "padding": round(mine["padding"], 4),
        "peer_padding": round(theirs["padding"], 4),
        "steps": int(mine["steps"]),
        "peer_steps": int(theirs["steps"]),
        "gemm_gflops": round(mine["gemm_gflops"]),
        "gemm_share": round(mine["gemm_share"], 3),
    }


def run(only: str | None, steps: int | None, rounds: int, as_json: bool) -> None:
    if only and only not in KINDS:
        raise UserError(f"--only {only} is no model of this bench; give one of {', '.join(KINDS)}")
    if rounds < 1 or (steps is not None and steps < 2 * SKIPPED):
        raise UserError(f"--steps is at least {2 * SKIPPED}, --rounds at least 1; give other numbers")
    kinds = {name: replace(kind, steps=steps or kind.steps) for name, kind in KINDS.items() if only in (None, name)}
    needed = [
        MODELS / "base/config.json",
        *(PROCESSED / f"{corpus}.jsonl" for corpus in chain.from_iterable(CORPORA.values())),
    ]
    for path in needed:
        if not path.exists():
            raise UserError(f"{path} is not there, and the bench trains on it; run `dvc repro` first")
    if "tiny" in kinds and read_json(needed[0])["hidden_size"] != TINY:
        raise UserError(
            "models/base is not the tiny base; set its profile's model.base to tiny and run `dvc repro`, "
            "or give --only minilm or --only base"
        )
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # all is measured on the processor
    for line in measure(kinds, rounds):
        print(
            json.dumps(line)
            if as_json
            else f"{line['name']}: {line['ours']:,.0f} tokens/s ({line['precision']}{', compiled' * line['compiled']}; "
            f"{line['gemm_share']:.0%} of the GEMM peak, {line['gemm_gflops']} GFLOP/s), the Trainer "
            f"{line['peer']:,.0f}, {line['ratio']:.1f} times as fast; held-out loss {line['loss']:.3f} and "
            f"{line['peer_loss']:.3f}, peak memory {line['peak_mb']} and {line['peer_peak_mb']} MB, padding "
            f"{line['padding']:.1%} and {line['peer_padding']:.1%}",
            flush=True,
        )
