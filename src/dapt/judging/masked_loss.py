"""Loss per masked token on held-out text, by group.

Masks are fixed: a function of the seed, the draw and the document (mlm.masks.fixed_masks), with the rate `evaluate.mask`
whatever the training rate was. The loss is the mean over masked tokens, in fp32; perplexity is its exponential. Intervals
resample groups, since texts of one source record are not independent.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from dapt.core.config import Evaluate
from dapt.core.rows import text_id
from dapt.judging.linear import use_onednn
from dapt.judging.statistics import bootstrap, ratio
from dapt.mlm.batches import fixed_batches
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.masks import fixed_masks
from dapt.mlm.tokens import Tokens
from dapt.mlm.windows import text_in_memory
from dapt.model import checkpoint
from dapt.model.memory import keep_freed_memory
from dapt.model.tokenizer import Special, load_tokenizer
from dapt.telling.errors import UserError

PART = 256  # tokens whose logits are computed at once


@dataclass
class Group:
    """Sums over the masked tokens of one source record: loss, right predictions, right among the top five, and all."""

    loss: float = 0.0
    correct: int = 0
    top5: int = 0
    masked: int = 0


def key(row: dict) -> int:
    """63 bits that identify a document's text, for its masks."""
    return int(row.get("id") or text_id(row["text"]), 16) >> 1


def token_losses(masked_lm: MaskedLM, states: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss and the rank of each token, both fp32; the rank is 0 if no other token is likelier. `states` is the output of
    MaskedLM.states, `labels` int64 [tokens].

    The logits are computed in parts, because those of a whole batch would not stay in the CPU's cache. They are compared in
    place, because counting booleans would first copy them to numbers.
    """
    losses, ranks = [], []
    for some, truth in zip(states.split(PART), labels.split(PART)):
        logits = masked_lm.logits(some).float()
        losses.append(F.cross_entropy(logits, truth, reduction="none"))
        ranks.append(logits.gt_(logits.gather(1, truth[:, None])).sum(1))
    return torch.cat(losses), torch.cat(ranks)


@torch.inference_mode()
def predictions(
    masked_lm: MaskedLM, tokens: Tokens, shown: np.ndarray, predicted: np.ndarray, special: Special, settings: Evaluate
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The predicted places in tokens.ids, and the loss and rank of the token at each; `shown` has the ids that the model
    reads instead. They are in the order of the windows, which are sorted by length."""
    device = next(masked_lm.parameters()).device
    text = text_in_memory(tokens, settings.window, special)
    found = [(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.float32))]
    for batch, places in fixed_batches(text, shown, predicted, settings.batch):
        if not (used := (places >= 0).flatten()).any():
            continue
        slots = (batch.picks + np.arange(len(places))[:, None] * settings.window).flatten()[used]
        read = (torch.from_numpy(array).to(device) for array in (batch.ids, batch.segments, batch.positions, slots))
        labels = torch.from_numpy(batch.labels.flatten()[used]).to(device)
        losses, ranks = token_losses(masked_lm, masked_lm.states(*read), labels)
        found.append((places.flatten()[used], losses.double().cpu().numpy(), ranks.cpu().numpy()))
    every_place, every_loss, every_rank = map(np.concatenate, zip(*found))
    return every_place, every_loss, every_rank


def by_group(
    masked_lm: MaskedLM, tokens: Tokens, rows: list[dict], special: Special, settings: Evaluate
) -> dict[str, Group]:
    """Sums over every draw of masks, by group, in the order in which groups first appear."""
    number = {group: place for place, group in enumerate(dict.fromkeys(row["group"] for row in rows))}
    group_of = np.repeat([number[row["group"]] for row in rows], np.diff(tokens.offsets))
    keys = np.array([key(row) for row in rows], np.uint64)
    sums = np.zeros((4, len(number)))
    for draw in range(settings.draws):
        shown, predicted = fixed_masks(tokens, keys, settings.mask, special, settings.seed + draw)
        places, losses, ranks = predictions(masked_lm, tokens, shown, predicted, special, settings)
        for total, values in zip(sums, (losses, ranks < 1, ranks < 5, np.ones(len(places)))):
            total += np.bincount(group_of[places], values, len(number))
    return {
        group: Group(loss, int(correct), int(top5), int(masked))
        for group, loss, correct, top5, masked in zip(number, *sums.tolist())
    }


def figures(groups: dict[str, Group], seed: int) -> dict:
    """Loss, perplexity, accuracy and the interval of the loss over a set."""
    losses = np.array([group.loss for group in groups.values()])
    masked = np.array([group.masked for group in groups.values()], float)
    loss = ratio(losses, masked)
    return {
        "loss": round(loss, 4),
        "perplexity": round(float(np.exp(loss)), 2),
        "accuracy": round(sum(group.correct for group in groups.values()) / masked.sum(), 4),
        "accuracy_top5": round(sum(group.top5 for group in groups.values()) / masked.sum(), 4),
        "masked_tokens": int(masked.sum()),
        "loss_ci95": bootstrap(losses, masked, seed),
    }


def loaded(folder: Path, settings: Evaluate) -> tuple[MaskedLM, Tokenizer, Special]:
    """Load a model for evaluation, with its own tokenizer; a model without a head is refused."""
    keep_freed_memory()
    torch.set_num_threads(settings.threads)
    tokenizer, special = load_tokenizer(folder)
    network, audit = checkpoint.load(folder)
    if audit.head_missing:
        raise UserError(
            f"{folder} has no masked-LM head ({', '.join(audit.missing[:2])}, …), so its loss would be that of "
            "random weights; repair it first with dapt base"
        )
    checkpoint.check_fits(network, special, settings.window)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        use_onednn(network)
    return MaskedLM(network).to(device).eval(), tokenizer, special
