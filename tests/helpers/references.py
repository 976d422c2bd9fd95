"""What models give, by loops of torch and transformers alone, one text at a time."""

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoModelForMaskedLM, PreTrainedTokenizerFast

from dapt.core.config import Evaluate
from dapt.judging import masked_loss
from dapt.mlm import masks
from dapt.mlm.masks import IGNORED
from dapt.mlm.tokens import encode_tokens
from sentences import sentences

TEXTS = [text.capitalize() + "." for text in sentences(30, seed=3) + sentences(4, seed=4, longest=300)]


def dense_loss(network, batch) -> torch.Tensor:
    """The usual way: logits everywhere, each text of each window run alone and unpadded."""
    losses = []
    for row in range(len(batch.ids)):
        labels = np.full(batch.ids.shape[1], IGNORED)
        labels[batch.picks[row][batch.labels[row] != IGNORED]] = batch.labels[row][batch.labels[row] != IGNORED]
        for segment in range(1, batch.segments[row].max() + 1):
            at = batch.segments[row] == segment
            logits = network(input_ids=torch.from_numpy(batch.ids[row][at])[None]).logits[0]
            losses.append(F.cross_entropy(logits, torch.from_numpy(labels[at]), reduction="sum", ignore_index=IGNORED))
    return torch.stack(losses).sum()


def plain_loop(folder, rows: list[dict], settings: Evaluate) -> dict[str, tuple[float, int, int, int]]:
    """transformers alone: each piece of each document by itself, unpadded, logits everywhere, the same masks."""
    network = AutoModelForMaskedLM.from_pretrained(folder).eval()
    _, tokenizer, special = masked_loss.loaded(folder, settings)
    tokens = encode_tokens(tokenizer, special, [row["text"] for row in rows])
    keys = np.array([masked_loss.key(row) for row in rows], np.uint64)
    found: dict[str, list] = {}
    for draw in range(settings.draws):
        shown, predicted = masks.fixed_masks(tokens, keys, settings.mask, special, settings.seed + draw)
        for number, row in enumerate(rows):
            sums = found.setdefault(row["group"], [0.0, 0, 0, 0])
            for start in range(tokens.offsets[number], tokens.offsets[number + 1], settings.window - 2):
                stop = min(start + settings.window - 2, tokens.offsets[number + 1])
                ids = torch.tensor([[special.cls, *shown[start:stop], special.sep]])
                with torch.no_grad():
                    logits = network(input_ids=ids).logits[0, 1:-1][predicted[start:stop]]
                truth = torch.tensor(tokens.ids[start:stop].astype(int)[predicted[start:stop]], dtype=torch.long)
                sums[0] += F.cross_entropy(logits, truth, reduction="sum").item()
                sums[1] += int((logits.argmax(-1) == truth).sum())
                sums[2] += int((logits.topk(5).indices == truth[:, None]).sum())
                sums[3] += len(truth)
    return {group: tuple(sums) for group, sums in found.items()}


def log_probabilities(network, ids: list[int]) -> torch.Tensor:
    """[tokens, vocabulary] of a text alone, [CLS] and [SEP] of its tokenizer around it."""
    cls, sep = network.around
    with torch.no_grad():
        return network(input_ids=torch.tensor([[cls, *ids, sep]])).logits[0, 1:-1].double().log_softmax(-1)


def plain(folder):
    """Tokenizer and model of a folder; the model knows its [CLS] and [SEP]."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    network = AutoModelForMaskedLM.from_pretrained(folder).eval()
    network.around = tokenizer.cls_token_id, tokenizer.sep_token_id
    return tokenizer, network
