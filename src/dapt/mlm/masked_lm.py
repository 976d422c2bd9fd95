"""Masked language models whose head is computed at predicted positions only."""

import os
import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from dapt.model import activations, attention
from dapt.model.architectures import HEADS, first_position, head_of, set_dropout
from dapt.telling.errors import UserError, short


class MaskedLM(nn.Module):
    """A masked language model whose head is computed at predicted positions only, and whose attention stays within each text
    of a window. A model that is not in HEADS gets one text per row, and its head is computed at every position."""

    def __init__(self, model: PreTrainedModel, dropout: float = 0.0):
        super().__init__()
        self.model = model
        self.head = head_of(model)
        self.layers_again = any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
        self.padding_matters = not self.head and padding_matters(model)
        if self.head:
            model.set_attn_implementation(attention.NAME)  # eager attention would add a boolean mask to the scores
        elif os.environ.get("RANK", "0") == "0":
            print(
                f"models of type {model.config.model_type} are not packed: each text gets a row of its own and "
                f"the head runs at every position{', with rows of one length at a time' * self.padding_matters}; "
                f"the results are the same, but it is slower. Packed types: {', '.join(HEADS)}, "
                "without convolutions",
                file=sys.stderr,
            )
        set_dropout(model, dropout)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """All parameters outside the encoder: the head, without the decoder's weight if it is tied to the embeddings."""
        encoder = set(self.model.base_model.parameters())
        return {name: value for name, value in self.model.named_parameters() if value not in encoder}

    def forward(
        self,
        ids: torch.Tensor,
        segments: torch.Tensor,
        positions: torch.Tensor,
        picks: torch.Tensor,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        """int64 tensors as in Batch → the loss of each pick, fp32 [rows * K], 0 where its label is -100."""
        rows, size = ids.shape
        flat = (picks + torch.arange(rows, device=ids.device)[:, None] * size).flatten()
        states, labels = self.states(ids, segments, positions, flat), labels.flatten()
        if (part := self._picks_at_once(ids)) >= len(labels):
            return self._losses(states, labels)
        return torch.cat(
            [
                checkpoint(self._losses, some, truth, use_reentrant=False, preserve_rng_state=False)
                for some, truth in zip(states.split(part), labels.split(part))
            ]
        )

    def _losses(self, states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.logits(states).float(), labels, reduction="none")  # -100 is ignored

    def _picks_at_once(self, ids: torch.Tensor) -> int:
        """For how many picks logits are computed at once. Those of a large vocabulary are computed in parts, and again for the
        gradients, because all of them would take more memory than the encoder's layers."""
        if not self.head:  # the states are the logits
            return sys.maxsize
        config, half = self.model.config, torch.is_autocast_enabled(ids.device.type)
        layers = 1 if self.layers_again else config.num_hidden_layers
        encoder = activations.encoder_bytes(ids.numel(), config.hidden_size, layers, half)
        return activations.picks_at_once(config.vocab_size, encoder)

    def states(
        self, ids: torch.Tensor, segments: torch.Tensor, positions: torch.Tensor, flat: torch.Tensor
    ) -> torch.Tensor:
        """The input of `logits` at the slots `flat` of the windows: hidden states [picks, width], or the logits themselves if
        the model is not in HEADS."""
        if not self.head:
            return self.dense(ids, segments, positions, flat)
        return self.encode(ids, segments, positions).flatten(0, 1).index_select(0, flat)

    def encode(self, ids: torch.Tensor, segments: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Hidden states [rows, size, width] of windows whose texts do not see each other."""
        encoder: Any = self.model.base_model  # each type of model takes its own arguments
        config = self.model.config
        mask: Any = segments[:, None, :, None] == segments[:, None, None, :]
        if config.model_type == "deberta-v2":  # only the inner encoder takes a mask of pairs
            return encoder.encoder(encoder.embeddings(ids, position_ids=positions), mask).last_hidden_state
        if config.model_type == "modernbert":  # its local layers look `sliding_window` tokens to either side
            near = (positions[:, None, :, None] - positions[:, None, None, :]).abs() <= config.sliding_window
            mask = {"full_attention": mask, "sliding_attention": mask & near}
        positions = positions + first_position(self.model)
        return encoder(input_ids=ids, attention_mask=mask, position_ids=positions).last_hidden_state

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The output of `states` → [picks, vocabulary]."""
        for name in self.head:
            module = getattr(self.model, name)
            tied = (self.model.get_input_embeddings(),) if name == "lm_predictions" else ()  # it has no own decoder
            hidden = module(hidden, *tied)
        return hidden

    @torch.compiler.disable  # every batch has another shape
    def dense(
        self, ids: torch.Tensor, segments: torch.Tensor, positions: torch.Tensor, flat: torch.Tensor
    ) -> torch.Tensor:
        """Logits [picks, vocabulary] at the slots `flat` of the windows, from the model's own forward pass, one text per row.
        If padding would change them, texts of different lengths are read separately."""
        ids, real, place = unpacked(ids, segments, positions)
        row, column = place[flat] // ids.shape[1], place[flat] % ids.shape[1]
        if not self.padding_matters:
            return self.model(input_ids=ids, attention_mask=real).logits[row, column]
        lengths = real.sum(1)
        logits, order = [], []
        for length in lengths[row].unique().tolist():
            texts, asked = (lengths == length).nonzero()[:, 0], (lengths[row] == length).nonzero()[:, 0]
            found = self.model(input_ids=ids[texts, :length], attention_mask=real[texts, :length]).logits
            logits.append(found[torch.searchsorted(texts, row[asked]), column[asked]])
            order.append(asked)
        return torch.cat(logits)[torch.cat(order).argsort()]


@torch.no_grad()
def padding_matters(model: PreTrainedModel) -> bool:
    """Whether masked padding after a text changes the text's logits, as it does in ConvBERT, FNet, Nyströmformer and
    YOSO; a model that cannot read a text of eight tokens at all is refused."""
    training = model.training
    model.eval()
    ids = (torch.arange(8, device=model.device) + model.config.vocab_size // 2)[None]
    try:
        alone, padded = (
            model(input_ids=F.pad(ids, (0, more)), attention_mask=F.pad(ids.bool().long(), (0, more))).logits[:, :8]
            for more in (0, 8)
        )
    except RuntimeError as error:
        raise UserError(
            f"a model of type {model.config.model_type} with this config.json cannot read a text of 8 tokens "
            f"({short(error)}); use another base"
        ) from error
    model.train(training)
    return not torch.allclose(alone, padded, rtol=1e-3, atol=1e-3)


def unpacked(
    ids: torch.Tensor, segments: torch.Tensor, positions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Windows [rows, size] → one text per row: ids (0 after the text) and which are real, int64 [texts, longest]; and
    the new place of each slot of the windows, int64 [rows * size], counted over all rows (for padding, a text's start).
    """
    real = (segments > 0).flatten()
    text = ((positions.flatten() == 0) & real).cumsum(0) - 1
    shape = int(text[-1]) + 1, int(positions.max()) + 1
    place = text * shape[1] + positions.flatten()
    rows, mask = (ids.new_zeros(shape) for _ in range(2))
    rows.view(-1)[place[real]] = ids.flatten()[real]
    mask.view(-1)[place[real]] = 1
    return rows, mask, place


def state(masked_lm: MaskedLM) -> dict[str, torch.Tensor]:
    """All weights by name, shared ones once: a tied decoder is left out."""
    return {name: value.detach() for name, value in masked_lm.named_parameters()} | dict(masked_lm.named_buffers())


def restore(masked_lm: MaskedLM, saved: dict[str, torch.Tensor]) -> None:
    """Copy the weights that `state` returned back into the model."""
    with torch.no_grad():
        for name, value in state(masked_lm).items():
            value.copy_(saved[name])


def transplant(model: MaskedLM, donor: PreTrainedModel) -> None:
    """Copy the donor's head (a decoder that is tied to the word embeddings stays the model's own)."""
    theirs = dict(donor.named_parameters(remove_duplicate=False))
    for name, value in model.head_parameters().items():
        if name not in theirs or theirs[name].shape != value.shape:
            raise UserError(
                f"the donor has no {name} of shape {list(value.shape)}; use a donor of the base's type, "
                "width and vocabulary"
            )
        value.data.copy_(theirs[name].data)
