"""Models in memory. Texts of different lengths share rows, as in training, and logits are computed only where needed."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from transformers import PreTrainedModel

from dapt.core.files import read_json
from dapt.judging.linear import use_onednn
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.windows import pack
from dapt.model import checkpoint
from dapt.model.architectures import usable_positions
from dapt.model.tokenizer import load_tokenizer
from dapt.telling.errors import UserError

ROW = 128  # tokens per row, which short texts share
STEP = 16  # row lengths are multiples of this: each new shape costs the CPU's kernels time and memory
AT_ONCE = 64 * ROW  # tokens per forward pass
KINDS = {"ForSequenceClassification": "classification", "ForMultipleChoice": "multiple_choice"}

Ids = np.ndarray  # a text's token ids, int64 [tokens], including [CLS] and [SEP]


class Refused(UserError):
    """A request that cannot be answered; the message is for the client."""


def kind_of(folder: Path) -> str:
    """A model's purpose according to its config.json: classification, multiple_choice, or masked-lm for other encoders; an
    encoder with files of sentence-transformers is for ranking."""
    (name, *_) = read_json(folder / "config.json").get("architectures") or [""]
    found = next((kind for ending, kind in KINDS.items() if name.endswith(ending)), None)
    return found or ("ranking" if (folder / "modules.json").is_file() else "masked-lm")


def always() -> bool:
    return True


class Model:
    """A model in memory, with its own tokenizer."""

    def __init__(self, folder: Path, network: PreTrainedModel):
        self.folder, self.kind = folder, kind_of(folder)
        self.tokenizer, self.special = load_tokenizer(folder)
        self.mask = str(self.tokenizer.id_to_token(self.special.mask))
        self.longest = int(min(usable_positions(network), self.special.longest or 1 << 20, 1 << 20))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.wanted: Callable[[], bool] = always  # whether a client waits for the answer; checked between two passes
        self.network: Any = network.eval().to(device=self.device)
        if self.device.type == "cpu":
            use_onednn(network)

    @property
    def bytes(self) -> int:
        return sum(value.numel() * value.element_size() for value in self.network.parameters())

    def ids(self, texts: list[str]) -> list[Ids]:
        """Token ids, without truncation. [MASK] is accepted by models with another mask token too."""
        if self.mask != "[MASK]":
            texts = [text.replace("[MASK]", self.mask) for text in texts]
        encodings = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [np.array([self.special.cls, *one.ids, self.special.sep], np.int64) for one in encodings]


class Encoder(Model):
    """A masked language model, with or without a head."""

    def __init__(self, folder: Path):
        network, audit = checkpoint.load(folder)
        self.has_head = not audit.head_missing
        super().__init__(folder, network)
        self.lm = MaskedLM(self.network).eval()
        self.pooled = self.kind == "ranking"
        if self.pooled:
            self.longest = min(self.longest, read_json(folder / "sentence_bert_config.json")["max_seq_length"])

    def cut(self, ids: Ids) -> Ids:
        """Truncate a text that is too long, as in the training of a ranking model."""
        return ids if len(ids) <= self.longest else np.append(ids[: self.longest - 1], self.special.sep)

    def passes(self, texts: list[Ids]) -> Iterator[list[int]]:
        """The numbers of the texts in each pass, as long as a client waits."""
        for some in chunks([len(ids) for ids in texts]):
            if not self.wanted():
                raise Refused("the client no longer waits for the answer")
            yield some

    @torch.inference_mode()
    def logits(self, texts: list[Ids], asked: list[np.ndarray]) -> torch.Tensor:
        """Logits of each text at the requested positions: fp32 [positions of all texts, vocabulary]."""
        found = []
        for some in self.passes(texts):
            ids, segments, positions, start = (self.on_device(array) for array in rows([texts[one] for one in some]))
            places = np.concatenate([asked[one] + first for one, first in zip(some, start.tolist())])
            states = self.lm.states(ids, segments, positions, self.on_device(places))
            found.append(self.lm.logits(states).float().cpu())
        return torch.cat(found)

    @torch.inference_mode()
    def vectors(self, texts: list[Ids]) -> torch.Tensor:
        """The mean of each text's last hidden states, fp32 [texts, width]; normalised to length 1 for a ranking model."""
        found = torch.cat([self.means([texts[one] for one in some]) for some in self.passes(texts)])
        return F.normalize(found, dim=-1) if self.pooled else found

    def means(self, texts: list[Ids]) -> torch.Tensor:
        if not self.lm.head:  # one text at a time: padding or neighbours might change the result
            encoder = self.network.base_model
            return torch.stack([encoder(self.on_device(ids[None])).last_hidden_state[0].mean(0).cpu() for ids in texts])
        ids, segments, positions, start = (self.on_device(array) for array in rows(texts))
        hidden = self.lm.encode(ids, segments, positions).flatten(0, 1).float()
        sizes = self.on_device(np.array([len(text) for text in texts]))
        text = torch.repeat_interleave(torch.arange(len(texts), device=self.device), sizes)
        slots = torch.repeat_interleave(start - sizes.cumsum(0) + sizes, sizes) + torch.arange(
            len(text), device=self.device
        )
        total = hidden.new_zeros(len(texts), hidden.shape[1]).index_add_(0, text, hidden[slots])
        return (total / sizes[:, None]).cpu()

    def on_device(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)


class Chooser(Model):
    """A classifier, or a model that scores the options of a question."""

    def __init__(self, folder: Path):
        auto = {"classification": "AutoModelForSequenceClassification", "multiple_choice": "AutoModelForMultipleChoice"}
        super().__init__(folder, checkpoint.from_folder(getattr(transformers, auto[kind_of(folder)]), folder, 0)[0])

    @cached_property
    def labels(self) -> list[str]:
        return [label for _, label in sorted(self.network.config.id2label.items())]

    @torch.inference_mode()
    def scores(self, batches: list[dict[str, torch.Tensor]]) -> list[torch.Tensor]:
        """Softmax of the logits, fp32 [candidates], for inputs with one row each."""
        return [
            self.network(**{name: value.to(self.device) for name, value in one.items()})
            .logits[0]
            .float()
            .softmax(-1)
            .cpu()
            for one in batches
        ]


def load(folder: Path) -> Encoder | Chooser:
    return Encoder(folder) if kind_of(folder) in ("masked-lm", "ranking") else Chooser(folder)


def chunks(lengths: list[int]) -> list[list[int]]:
    """The numbers of the texts in each pass, in order: up to AT_ONCE tokens, or a single longer text."""
    found: list[list[int]] = [[]]
    size = 0
    for number, length in enumerate(lengths):
        if found[-1] and size + length > AT_ONCE:
            found.append([])
            size = 0
        found[-1].append(number)
        size += length
    return found


def rows(texts: list[Ids]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pack texts into shared rows: ids, segments (0: padding) and positions, int64 [rows, size], and the slot at which each
    text starts, counted over all rows, int64 [texts].

    >>> ids, segments, positions, start = rows([np.array([7, 8, 9]), np.array([5, 6])])
    >>> ids[0, :5].tolist(), segments[0, :6].tolist(), positions[0, :5].tolist(), start.tolist()
    ([7, 8, 9, 5, 6], [1, 1, 1, 2, 2, 0], [0, 1, 2, 0, 1], [0, 3])
    """
    sizes = np.array([len(ids) for ids in texts])
    size = -(-min(max(ROW, int(sizes.max())), int(sizes.sum())) // STEP) * STEP
    row_of = pack(sizes, size)
    filled = np.zeros(row_of.max() + 1, np.int64)
    ids, segments, positions = (np.zeros((len(filled), size), np.int64) for _ in range(3))
    start = np.zeros(len(texts), np.int64)
    for number, (text, row) in enumerate(zip(texts, row_of.tolist()), 1):
        begin = int(filled[row])
        here = slice(begin, begin + len(text))
        ids[row, here], segments[row, here], positions[row, here] = text, number, np.arange(len(text))
        start[number - 1] = row * size + begin
        filled[row] += len(text)
    return ids, segments, positions, start
