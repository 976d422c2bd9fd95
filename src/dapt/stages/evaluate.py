"""`dapt evaluate X`: models/X on every held-out set → metrics/eval/X.json, and data/eval/X.jsonl, a line a group.

Masks are fixed: a function of the seed, the draw and the document (batches.fixed_masks), at `evaluate.mask` whatever
the training rate was. Loss is the mean over masked tokens, in fp32; perplexity its exponential. Intervals resample
groups, since texts of one source record are not independent.

`dapt evaluate --model DIR --text FILE.jsonl` does the same for any model and text: dapt.judge.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from dapt.mlm import batches
from dapt.model.masked_lm import masked_lm
from dapt.core import config
from dapt.core.config import Evaluate
from dapt.telling.errors import UserError
from dapt.core.files import made_from, read_lines, write_json, write_lines
from dapt.judging.linear import use_onednn
from dapt.model.masked_lm.masked_lm.memory import keep_freed_memory
from dapt.model.masked_lm.masked_lm import MaskedLM
from dapt.core.paths import LOSSES, METRICS, MODELS, SPLIT
from dapt.corpus.records import text_id
from dapt.judging.statistics import RESAMPLES, interval, ratio, resampled
from dapt.mlm.tokens import Special, Tokens, encode_tokens, load_tokenizer

PART = 256  # tokens whose logits are made at once


@dataclass
class Group:
    """Sums over the masked tokens of one source record: loss, right at once, among the five likeliest, and all."""

    loss: float = 0.0
    correct: int = 0
    top5: int = 0
    masked: int = 0


def key(row: dict) -> int:
    """63 bits that name a document's text, for its masks."""
    return int(row.get("id") or text_id(row["text"]), 16) >> 1


def judged(masked_lm: MaskedLM, states: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each token the loss and the rank, 0 where no other token is likelier, fp32 both; from what MaskedLM.states
    gives, and int64 [tokens].

    The logits are made a part at a time: those of a whole batch leave the processor's cache and come back for each pass.
    They are compared in place: a count of truth values would copy them to numbers first.
    """
    losses, ranks = [], []
    for some, truth in zip(states.split(PART), labels.split(PART)):
        logits = masked_lm.logits(some).float()
        losses.append(F.cross_entropy(logits, truth, reduction="none"))
        ranks.append(logits.gt_(logits.gather(1, truth[:, None])).sum(1))
    return torch.cat(losses), torch.cat(ranks)


@torch.inference_mode()
def predictions(masked_lm: MaskedLM, tokens: Tokens, shown: np.ndarray, predicted: np.ndarray, special: Special,
                settings: Evaluate) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The places in tokens.ids that are predicted, and the loss and rank of the token at each; `shown` are the ids that
    the model reads instead. In the order in which windows hold them, which batches them by length."""
    device = next(masked_lm.parameters()).device
    chosen = batches.windows(tokens, settings.window)
    found = [(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.float32))]
    for batch, places in batches.fixed_batches(tokens, chosen, np.arange(len(chosen)), shown, predicted, special,
                                               settings.batch):
        if not (used := (places >= 0).flatten()).any():
            continue
        slots = (batch.picks + np.arange(len(places))[:, None] * chosen.size).flatten()[used]
        read = (torch.from_numpy(array).to(device) for array in (batch.ids, batch.segments, batch.positions, slots))
        labels = torch.from_numpy(batch.labels.flatten()[used]).to(device)
        losses, ranks = judged(masked_lm, masked_lm.states(*read), labels)
        found.append((places.flatten()[used], losses.double().cpu().numpy(), ranks.cpu().numpy()))
    return tuple(map(np.concatenate, zip(*found)))


def by_group(masked_lm: MaskedLM, tokens: Tokens, rows: list[dict], special: Special,
             settings: Evaluate) -> dict[str, Group]:
    """Sums over every draw of masks, by group, in the order in which groups first appear."""
    number = {group: place for place, group in enumerate(dict.fromkeys(row["group"] for row in rows))}
    group_of = np.repeat([number[row["group"]] for row in rows], np.diff(tokens.offsets))
    keys = np.array([key(row) for row in rows], np.uint64)
    sums = np.zeros((4, len(number)))
    for draw in range(settings.draws):
        shown, predicted = batches.fixed_masks(tokens, keys, settings.mask, special, settings.seed + draw)
        places, losses, ranks = predictions(masked_lm, tokens, shown, predicted, special, settings)
        for total, values in zip(sums, (losses, ranks < 1, ranks < 5, np.ones(len(places)))):
            total += np.bincount(group_of[places], values, len(number))
    return {group: Group(loss, int(correct), int(top5), int(masked))
            for group, loss, correct, top5, masked in zip(number, *sums.tolist())}


def figures(groups: dict[str, Group], seed: int) -> dict:
    """Loss, perplexity, accuracy and the interval of the loss over a set."""
    losses = np.array([group.loss for group in groups.values()])
    masked = np.array([group.masked for group in groups.values()], float)
    loss = ratio(losses, masked)
    return {"loss": round(loss, 4), "perplexity": round(float(np.exp(loss)), 2),
            "accuracy": round(sum(group.correct for group in groups.values()) / masked.sum(), 4),
            "accuracy_top5": round(sum(group.top5 for group in groups.values()) / masked.sum(), 4),
            "masked_tokens": int(masked.sum()),
            "loss_ci95": interval(resampled(losses[None], masked, RESAMPLES, seed)[0])}


def loaded(folder: Path, settings: Evaluate) -> tuple[MaskedLM, Tokenizer, Special]:
    """A model ready to be judged, with its own tokenizer; one without a head is refused."""
    keep_freed_memory()
    torch.set_num_threads(settings.threads)
    tokenizer, special = load_tokenizer(folder)
    network, audit = masked_lm.load(folder)
    if audit.head_missing:
        raise UserError(f"{folder} has no masked-LM head ({', '.join(audit.missing[:2])}, …): its loss would be that of "
                        "random weights; repair it first (dapt base)")
    masked_lm.check_fits(network, special, settings.window)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        use_onednn(network)
    return MaskedLM(network).to(device).eval(), tokenizer, special


def run(name: str) -> None:
    params = config.load()
    settings = params.active.evaluate
    masked_lm, tokenizer, special = loaded(MODELS / name, settings)
    result, lines = {}, []
    for held_out in params.heldout:
        rows = list(read_lines(SPLIT / held_out / "heldout.jsonl"))
        tokens = encode_tokens(tokenizer, special, (row["text"] for row in rows))
        groups = by_group(masked_lm, tokens, rows, special, settings)
        result[held_out] = figures(groups, settings.seed)
        lines += [{"set": held_out, "group": group, "loss": round(sums.loss, 5), "masked": sums.masked,
                   "correct": sums.correct, "top5": sums.top5} for group, sums in groups.items()]
        print(f"{name} on {held_out}: loss {result[held_out]['loss']}, perplexity {result[held_out]['perplexity']}, "
              f"{result[held_out]['masked_tokens']} masked tokens in {len(groups)} groups")
    write_lines(LOSSES / f"{name}.jsonl", lines)
    write_json(METRICS / "eval" / f"{name}.json", result | {
        "made_from": made_from(MODELS / name / "masked_lm.safetensors", MODELS / name / "tokenizer.json", SPLIT)})
