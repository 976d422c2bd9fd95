"""Word embeddings of which fine-tuning trains only the rows it reads.

A task's training side holds a part of the vocabulary. The gradient of every other row is zero in each step, and yet it is
filled, added to the norm and run through AdamW, which only decays the row a little. Without them a step of a model of two
layers is a tenth to a sixth shorter, and a word that fine-tuning never met stays as pre-training left it. Of BERT-base's
parameters, and of their gradients and moments on a GPU, word embeddings are a fifth.
"""

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel


class SeenRows(nn.Module):
    """In place of `whole`: in training the rows of `seen` (ids, ascending, padding among them) and no others can be read;
    in evaluation all."""

    seen: torch.Tensor
    place: torch.Tensor

    def __init__(self, whole: nn.Embedding, seen: np.ndarray):
        super().__init__()
        self.whole = whole.requires_grad_(False)
        self.rows = nn.Parameter(whole.weight[seen].clone())
        place = torch.full((whole.num_embeddings,), -1)
        place[seen] = torch.arange(len(seen))
        self.register_buffer("seen", torch.from_numpy(seen))
        self.register_buffer("place", place)
        self.padding = None if whole.padding_idx is None else int(place[whole.padding_idx])

    def train(self, mode: bool = True) -> "SeenRows":
        if not mode:
            self.written_back()
        return super().train(mode)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return F.embedding(self.place[ids], self.rows, self.padding) if self.training else self.whole(ids)

    @torch.no_grad()
    def written_back(self) -> nn.Embedding:
        """The whole embeddings, with the rows as they are now."""
        self.whole.weight[self.seen] = self.rows
        return self.whole


def train_only(network: PreTrainedModel, seen: np.ndarray) -> PreTrainedModel:
    """The network, its word embeddings replaced by SeenRows."""
    network.set_input_embeddings(SeenRows(cast(nn.Embedding, network.get_input_embeddings()), seen))
    return network


def put_back(network: PreTrainedModel) -> PreTrainedModel:
    """The opposite of train_only; the rows are as trained."""
    rows = cast(SeenRows, network.get_input_embeddings())
    network.set_input_embeddings(rows.written_back().requires_grad_())
    return network
