"""Estimates of what a training needs: GPU memory, memory of the node, disk space and computation (docs/training.md)."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

from dapt.core.config import Train
from dapt.core.files import read_json
from dapt.mlm.masks import most_picks
from dapt.mlm.tokens import token_files
from dapt.model import activations
from dapt.telling.errors import UserError
from dapt.training.optimization.schedule import length
from dapt.training.resume import KEPT

PROCESS = 800_000_000  # bytes of a process without the model: Python, torch and their libraries
CONTEXT = 500_000_000  # bytes of GPU memory that CUDA itself uses
DRIVER = 2_000_000_000  # bytes of the node's memory that CUDA's libraries use per process


@dataclass(frozen=True)
class Model:
    parameters: int
    width: int
    layers: int
    vocabulary: int

    @property
    def decoder(self) -> int:
        """Weights of the output layer, which are the word embeddings."""
        return self.vocabulary * self.width

    @property
    def body(self) -> int:
        """Weights that every token is multiplied by."""
        return self.parameters - self.decoder


@dataclass(frozen=True)
class Text:
    tokens: int
    documents: int

    def pieces(self, size: int) -> int:
        """Number of documents, plus the pieces into which those longer than a window of `size` are cut."""
        return self.documents + self.tokens // (size - 2)

    def windows(self, size: int) -> int:
        """Number of windows of `size` tokens, including each piece's [CLS] and [SEP]; packing leaves little padding."""
        return math.ceil((self.tokens + 2 * self.pieces(size)) / size)


def model_in(folder: Path) -> Model:
    """Read the sizes from config.json and from the headers of the weight files; the weights are not loaded."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} does not exist; create it with `dvc repro base`, or download it with `dvc pull`")
    shape, parameters = read_json(folder / "config.json"), 0
    for path in folder.glob("model*.safetensors"):
        with safe_open(path, "np") as weights:
            parameters += sum(
                math.prod(weights.get_slice(name).get_shape()) for name in weights.keys() if "pooler." not in name
            )
    width, layers = (
        shape.get(name) or shape[other]  # the other name is DistilBERT's
        for name, other in (("hidden_size", "dim"), ("num_hidden_layers", "n_layers"))
    )
    return Model(parameters, width, layers, shape["vocab_size"])


def text_in(folder: Path) -> Text:
    """The size of a domain's train set."""
    _, path = token_files(folder, "train")
    if not path.is_file():
        raise UserError(
            f"{folder} does not exist; create it with `dvc repro tokenize@{folder.name}`, or download it with `dvc pull`"
        )
    offsets = np.load(path, mmap_mode="r")
    return Text(int(offsets[-1]), len(offsets) - 1)


def steps(train: Train, text: Text) -> int:
    return length(
        train.steps,
        train.epochs,
        train.tokens,
        text.windows(train.window),
        train.batch * (1 - train.replay),
        text.tokens,
    )


def picks(train: Train) -> int:
    """The largest number of tokens predicted in a window."""
    return most_picks(train.window, train.mask)


def training_bytes(model: Model, train: Train, processes: int, half: bool) -> int:
    """Memory of one process, on a GPU or in RAM; the formula is in docs/training.md."""
    windows = math.ceil(train.batch / processes / train.parts)
    tokens, layers = windows * train.window, 1 if train.gradient_checkpointing else model.layers
    inputs = 2 * model.layers * tokens * model.width * (1 if half else 2) if train.gradient_checkpointing else 0
    weights = (16 + 2 * half) * model.parameters
    encoder = activations.encoder_bytes(tokens, model.width, layers, half)
    at_once = min(windows * picks(train), activations.picks_at_once(model.vocabulary, encoder))
    return weights + inputs + encoder + activations.LOGIT * at_once * model.vocabulary


def card_bytes(model: Model, train: Train, processes: int, half: bool) -> int:
    return training_bytes(model, train, processes, half) + CONTEXT


def host_bytes(model: Model, train: Train, gpus: int, nodes: int) -> int:
    """Memory of a node. The first process keeps a copy of the weights and AdamW's two moments while it writes a checkpoint;
    with GPUs that copy is in pinned memory, which is allocated in powers of two, and each process has the weights in memory
    twice while it loads them."""
    saved = 12 * model.parameters
    if gpus:
        return gpus * (PROCESS + DRIVER + 8 * model.parameters) + 2 * saved
    return PROCESS + training_bytes(model, train, nodes, half=True) + saved


def state_bytes(model: Model, train: Train, text: Text) -> int:
    """Disk space of the folder of resume.py: checkpoints of weights and moments (one more while it is being written), the
    weights of train.keep, and the positions of the windows (16 bytes per piece, 8 per window)."""
    return (
        (KEPT + 1) * 12 * model.parameters
        + len(train.keep) * 4 * model.parameters
        + 16 * text.pieces(train.window)
        + 8 * text.windows(train.window)
    )


def models_bytes(model: Model, train: Train) -> int:
    """Disk space of models/DOMAIN."""
    return (1 + len(train.keep)) * 4 * model.parameters


def flops(model: Model, train: Train, text: Text) -> int:
    """Floating-point operations of a whole training: 6 per weight and token (for the decoder, per predicted token), and
    attention."""
    windows = steps(train, text) * train.batch
    body = 6 * model.body * train.window
    attention = 12 * model.layers * train.window**2 * model.width
    return windows * (body + attention + 6 * model.decoder * picks(train))


def tokens_seen(train: Train, text: Text) -> int:
    """Text tokens that are read in a whole training."""
    return round(steps(train, text) * train.batch * text.tokens / text.windows(train.window))
