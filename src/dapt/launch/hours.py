"""Estimates of how long the stages that need a GPU take, from the size of the existing text.

The work is 2 operations per weight and token in the forward pass, 4 in the backward pass. A GPU is assumed to reach SHARE of
its peak. In all stages except trainings, which may run as CUDA graphs, Python and kernel launches take at least STEP per step,
whatever the GPU.
"""

import itertools
import math
from dataclasses import dataclass

from dapt.core.config import Params, Task, Train
from dapt.core.files import read_lines
from dapt.core.paths import MODELS, SPLIT
from dapt.launch import estimates
from dapt.launch.estimates import CONTEXT, Model, Text
from dapt.model.activations import encoder_bytes
from dapt.model.tokenizer import load_tokenizer
from dapt.tasks.kinds import kind as kind_named

SHARE = 0.25  # of the GPU's peak
STEP = 0.03  # seconds; measured on an H100 with BERT-base (docs/measurements.md, 8 × 128)
SAMPLE = 1000  # rows whose tokens are counted
BYTES = 5  # of a token with its space, in a line of JSON


@dataclass(frozen=True)
class Sequences:
    """A task's training side: number of rows, sequences per row, and mean number of tokens per sequence."""

    rows: int
    count: int
    tokens: float


def computing(operations: float, tflops: float) -> float:
    """Seconds of computation, at SHARE of the peak."""
    return operations / (SHARE * tflops * 1e12)


def seconds(operations: float, steps: int, tflops: float) -> float:
    return max(computing(operations, tflops), steps * STEP)


def train(model: Model, settings: Train, text: Text, tflops: float, processes: int) -> float:
    """Hours of a training with one GPU per process."""
    return computing(estimates.flops(model, settings, text), tflops) / processes / 3600


def sequences_of(name: str, task: Task) -> Sequences | None:
    """Estimated from a sample of the rows; None if they do not exist yet."""
    path = SPLIT / "tasks" / name / "train.jsonl"
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        rows = sum(1 for line in file)
    tokenizer, _ = load_tokenizer(MODELS / "base")
    tokenizer.enable_truncation(task.length)
    kind = kind_named(task.kind)
    texts = [kind.sequences(row, task) for row in itertools.islice(read_lines(path), SAMPLE)]
    lengths = [len(found.ids) for found in tokenizer.encode_batch([text for row in texts for text in row])]
    if not lengths:
        return None
    return Sequences(min(rows, task.rows or rows), max(map(len, texts)), sum(lengths) / len(lengths))


def finetune(model: Model, params: Params, task: Task, read: Sequences, tflops: float) -> float:
    """Hours of fine-tuning all seeds, if none stops early."""
    settings = params.active.finetune
    steps = len(settings.seeds) * task.epochs * math.ceil(read.rows / settings.batch)
    tokens = len(settings.seeds) * task.epochs * read.rows * read.count * read.tokens
    attention = 12 * model.layers * read.tokens * model.width  # per token, forward and backward
    return seconds(tokens * (6 * model.body + attention), steps, tflops) / 3600


def evaluate(model: Model, params: Params, tflops: float) -> float | None:
    """Hours of evaluating a model on all held-out sets; None if they do not exist yet."""
    settings = params.active.evaluate
    paths = [SPLIT / name / "heldout.jsonl" for name in params.heldout]
    if not all(path.is_file() for path in paths):
        return None
    tokens = settings.draws * sum(path.stat().st_size for path in paths) / BYTES
    decoder = settings.mask * model.decoder
    steps = math.ceil(tokens / (settings.window * settings.batch))
    return seconds(2 * tokens * (model.body + decoder), steps, tflops) / 3600


def base(model: Model, params: Params, tflops: float) -> float:
    """Hours of the longest possible repair of the head: encoder forward, head forward and backward."""
    repair, train = params.active.repair, params.active.train
    tokens = repair.max_steps * train.batch * train.window
    decoder = train.mask * model.decoder
    return seconds(tokens * (2 * model.body + 6 * decoder), repair.max_steps, tflops) / 3600


def finetune_bytes(model: Model, params: Params, task: Task, read: Sequences) -> int:
    """GPU memory: weights, gradients and moments, and activations of the longest batch in half precision."""
    tokens = params.active.finetune.batch * read.count * task.length
    return 18 * model.parameters + encoder_bytes(tokens, model.width, model.layers, half=True) + CONTEXT
