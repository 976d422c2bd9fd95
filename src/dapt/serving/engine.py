"""Models in memory. Texts of mixed lengths share rows, as in training, and logits are made where they are asked for only."""

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

ROW = 128  # tokens that short texts share
STEP = 16  # a row has a multiple of so many tokens: each new shape costs the processor's kernels time and memory
AT_ONCE = 64 * ROW  # tokens of a forward pass
KINDS = {"ForSequenceClassification": "classification", "ForMultipleChoice": "multiple_choice"}

Ids = np.ndarray  # of a text, int64 [tokens], [CLS] and [SEP] included


class Refused(UserError):
    """A request that cannot be answered; the sentence is for whoever sent it."""


def kind_of(folder: Path) -> str:
    """What a model's config.json says it is for: classification, multiple_choice, or else an encoder's masked-lm; an encoder that
    sentence-transformers reads too is for ranking."""
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
        self.wanted: Callable[[], bool] = always  # whether anybody waits for the answer, asked between two passes
        self.network: Any = network.eval().to(device=self.device)
        if self.device.type == "cpu":
            use_onednn(network)

    @property
    def bytes(self) -> int:
        return sum(value.numel() * value.element_size() for value in self.network.parameters())

    def ids(self, texts: list[str]) -> list[Ids]:
        """Without truncation. [MASK] is understood by models whose own mask token is another."""
        if self.mask != "[MASK]":
            texts = [text.replace("[MASK]", self.mask) for text in texts]
        encodings = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [np.array([self.special.cls, *one.ids, self.special.sep], np.int64) for one in encodings]


class Encoder(Model):
    """A masked language model, with a head or without one."""

    def __init__(self, folder: Path):
        network, audit = checkpoint.load(folder)
        self.has_head = not audit.head_missing
        super().__init__(folder, network)
        self.lm = MaskedLM(self.network).eval()
        self.pooled = self.kind == "ranking"
        if self.pooled:
            self.longest = min(self.longest, read_json(folder / "sentence_bert_config.json")["max_seq_length"])

    def cut(self, ids: Ids) -> Ids:
        """A text as a ranking model was trained to read it, whose end is left out where it is too long."""
        return ids if len(ids) <= self.longest else np.append(ids[: self.longest - 1], self.special.sep)

    def passes(self, texts: list[Ids]) -> Iterator[list[int]]:
        """The numbers of the texts of each pass, as long as anybody waits."""
        for some in chunks([len(ids) for ids in texts]):
            if not self.wanted():
                raise Refused("nobody waits for the answer any more")
            yield some

    @torch.inference_mode()
    def logits(self, texts: list[Ids], asked: list[np.ndarray]) -> torch.Tensor:
        """Of each text at the places in it that are asked for: fp32 [places of all texts, vocabulary]."""
        found = []
        for some in self.passes(texts):
            ids, segments, positions, start = (self.on_device(array) for array in rows([texts[one] for one in some]))
            places = np.concatenate([asked[one] + first for one, first in zip(some, start.tolist())])
            states = self.lm.states(ids, segments, positions, self.on_device(places))
            found.append(self.lm.logits(states).float().cpu())
        return torch.cat(found)

    @torch.inference_mode()
    def vectors(self, texts: list[Ids]) -> torch.Tensor:
        """The mean of each text's last hidden states, fp32 [texts, width]; of a ranking model of length 1."""
        found = torch.cat([self.means([texts[one] for one in some]) for some in self.passes(texts)])
        return F.normalize(found, dim=-1) if self.pooled else found

    def means(self, texts: list[Ids]) -> torch.Tensor:
        if not self.lm.head:  # each by itself: padding or neighbours might change it
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
    """A classifier, or a scorer of the options of a question."""

    def __init__(self, folder: Path):
        auto = {"classification": "AutoModelForSequenceClassification", "multiple_choice": "AutoModelForMultipleChoice"}
        super().__init__(folder, checkpoint.from_folder(getattr(transformers, auto[kind_of(folder)]), folder, 0)[0])

    @cached_property
    def labels(self) -> list[str]:
        return [label for _, label in sorted(self.network.config.id2label.items())]

    @torch.inference_mode()
    def scores(self, batches: list[dict[str, torch.Tensor]]) -> list[torch.Tensor]:
        """Softmax of the logits, fp32 [candidates], of inputs with one row each."""
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
    """The numbers of texts that are read in one pass, in order: AT_ONCE tokens, or a single longer one."""
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
    """Texts in rows that they share: ids, segments (0: padding) and positions, int64 [rows, size], and the slot, counted over
    all rows, at which each text begins, int64 [texts].

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
