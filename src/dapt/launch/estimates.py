"""What a training needs of a card, a node and a disk, and how much it computes: estimates (docs/training.md)."""

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

PROCESS = 800_000_000  # bytes of a process before its model: Python, torch and what it loads
CONTEXT = 500_000_000  # bytes that CUDA takes of a card
DRIVER = 2_000_000_000  # bytes that CUDA's libraries take of a node for a process


@dataclass(frozen=True)
class Model:
    parameters: int
    width: int
    layers: int
    vocabulary: int

    @property
    def decoder(self) -> int:
        """Weights of the output layer, which are the embeddings of words."""
        return self.vocabulary * self.width

    @property
    def body(self) -> int:
        """Weights that every token is multiplied with."""
        return self.parameters - self.decoder


@dataclass(frozen=True)
class Text:
    tokens: int
    documents: int

    def pieces(self, size: int) -> int:
        """Documents, and what those longer than a window of `size` are cut into."""
        return self.documents + self.tokens // (size - 2)

    def windows(self, size: int) -> int:
        """Of `size` tokens, [CLS] and [SEP] of each piece included; packing leaves little padding."""
        return math.ceil((self.tokens + 2 * self.pieces(size)) / size)


def model_in(folder: Path) -> Model:
    """From config.json and the names and shapes in the weights' files, which are not read."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is not there; make it with `dvc repro base`, or bring it with `dvc pull`")
    shape, parameters = read_json(folder / "config.json"), 0
    for path in folder.glob("model*.safetensors"):
        with safe_open(path, "np") as weights:
            parameters += sum(
                math.prod(weights.get_slice(name).get_shape()) for name in weights.keys() if "pooler." not in name
            )
    width, layers = (
        shape.get(name) or shape[other]  # the other is DistilBERT's
        for name, other in (("hidden_size", "dim"), ("num_hidden_layers", "n_layers"))
    )
    return Model(parameters, width, layers, shape["vocab_size"])


def text_in(folder: Path) -> Text:
    """Of a domain's train set."""
    _, path = token_files(folder, "train")
    if not path.is_file():
        raise UserError(
            f"{folder} is not there; make it with `dvc repro tokenize@{folder.name}`, or bring it with `dvc pull`"
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
    """Tokens predicted in a window, at most."""
    return most_picks(train.window, train.mask)


def training_bytes(model: Model, train: Train, processes: int, half: bool) -> int:
    """Of one process, on a card or in a processor's memory: docs/training.md has the formula."""
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
    """Of a node. The first process holds a checkpoint, weights and AdamW's two moments, while it is written; with GPUs
    in pinned memory, whose pieces are powers of two, and each process holds the weights, twice, while it loads them."""
    saved = 12 * model.parameters
    if gpus:
        return gpus * (PROCESS + DRIVER + 8 * model.parameters) + 2 * saved
    return PROCESS + training_bytes(model, train, nodes, half=True) + saved


def state_bytes(model: Model, train: Train, text: Text) -> int:
    """In the folder of resume.py: checkpoints of weights and moments, of which one more lies there while it is written,
    kept weights, and the windows' places: 16 bytes a piece, 8 a window."""
    return (
        (KEPT + 1) * 12 * model.parameters
        + len(train.keep) * 4 * model.parameters
        + 16 * text.pieces(train.window)
        + 8 * text.windows(train.window)
    )


def models_bytes(model: Model, train: Train) -> int:
    """In models/DOMAIN."""
    return (1 + len(train.keep)) * 4 * model.parameters


def flops(model: Model, train: Train, text: Text) -> int:
    """Of a whole training: 6 for a weight and token, the decoder's for predicted tokens only, and attention."""
    windows = steps(train, text) * train.batch
    body = 6 * model.body * train.window
    attention = 12 * model.layers * train.window**2 * model.width
    return windows * (body + attention + 6 * model.decoder * picks(train))


def tokens_seen(train: Train, text: Text) -> int:
    """Of text, in a whole training."""
    return round(steps(train, text) * train.batch * text.tokens / text.windows(train.window))
