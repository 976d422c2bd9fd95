"""`--int8`: a second network with weights of 8 bits, and what it loses.

onnxruntime's dynamic quantization stores the weights in 8 bits and rounds activations to 8 bits while the network runs. Both
networks read the same texts, cut at LENGTH tokens: the held-out text of the model's own domain, or for another model the text
by which dapt checks prediction heads. The loss of a masked language model is the loss per masked token, with the masks of
`dapt evaluate`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from onnxruntime.quantization import QuantType, quantize_dynamic

from dapt.core.files import read_lines
from dapt.core.paths import MODELS, SPLIT
from dapt.exporting.libraries import quiet
from dapt.judging.inputs import settings
from dapt.judging.masked_loss import key
from dapt.judging.probe import PROBE
from dapt.judging.statistics import RESAMPLES, by_group, paired, ratio, resampled
from dapt.mlm.masks import fixed_masks
from dapt.mlm.tokens import Tokens, encode, unknown_share
from dapt.model.tokenizer import Special, load_tokenizer
from dapt.telling.errors import UserError

FILE = "model_quantized.onnx"
MOST, LENGTH, BATCH = 500, 128, 8  # texts that are read; their tokens, at most both; texts at a time

Session = Any  # of onnxruntime


def write(network: Path) -> Path:
    """Write the network with weights of 8 bits beside the one at `network`."""
    path = network.with_name(FILE)
    with quiet():
        quantize_dynamic(network, path, weight_type=QuantType.QInt8)
    return path


def held_out(model: Path) -> tuple[str, list[dict]]:
    """The name of the text on which the networks are compared, and at most MOST rows of it."""
    path = SPLIT / model.name / "heldout.jsonl"
    if model.parent == MODELS and path.is_file():
        rows = list(read_lines(path))
        step = -(-len(rows) // MOST)  # through the whole file, in which one source follows the other
        return f"held-out text of {model.name}", rows[::step]
    lines = (PROBE / "text.txt").read_text(encoding="utf-8").splitlines()
    return "general text", [{"text": line, "group": str(number)} for number, line in enumerate(lines)]


@dataclass(frozen=True)
class Text:
    """What both networks read: ids of the texts, without [CLS] and [SEP]; `shown` is what they read instead, and `asked` the
    tokens whose outputs are compared, both [tokens]."""

    tokens: Tokens
    shown: np.ndarray
    asked: np.ndarray
    special: Special
    groups: list[str]  # of each text


def text(folder: Path, rows: list[dict], longest: float, masked: bool) -> Text:
    """The texts as the tokenizer in `folder` encodes them, at most `longest` tokens of each; with `masked`, those tokens are
    masked and asked that `dapt evaluate` masks, otherwise all tokens are asked."""
    tokenizer, special = load_tokenizer(folder)
    size = int(min(LENGTH, longest)) - 2
    documents = [np.array(ids[:size], np.int64) for ids in encode(tokenizer, (row["text"] for row in rows))]
    tokens = Tokens(np.concatenate(documents), np.cumsum([0, *map(len, documents)]))
    shown, asked = tokens.ids, np.ones(len(tokens.ids), bool)
    if masked:
        keys, how = np.array([key(row) for row in rows], np.uint64), settings()
        unknown_share(tokens.ids, special, "the text on which --int8 is measured", how.unknown == "allow")
        shown, asked = fixed_masks(tokens, keys, how.mask, special, how.seed)
    if not asked.any():
        raise UserError("the text on which --int8 is measured has nothing to predict; export without --int8")
    return Text(tokens, shown, asked, special, [row["group"] for row in rows])


def batches(of: Text) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """The inputs of BATCH texts at a time, and the number of the token at each position, -1 where there is none or it is not
    asked; all int64 [texts, size]."""
    for start in range(0, len(of.tokens), BATCH):
        ends = of.tokens.offsets[start : start + BATCH + 1]
        sizes = np.diff(ends)
        column = np.arange(sizes.max() + 2)
        inside = (column >= 1) & (column <= sizes[:, None])
        places = np.where(inside, ends[:-1, None] + column - 1, 0)
        ids = np.where(inside, of.shown[places], of.special.pad)
        ids[:, 0], ids[np.arange(len(sizes)), sizes + 1] = of.special.cls, of.special.sep
        mask = (column < sizes[:, None] + 2).astype(np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        yield given, np.where(inside & of.asked[places], places, -1)


def output(session: Session, batch: dict[str, np.ndarray]) -> torch.Tensor:
    """The last output of a network for those of these inputs that it takes."""
    return torch.from_numpy(session.run(None, {one.name: batch[one.name] for one in session.get_inputs()})[-1])


def compared(full: Session, small: Session, of: Text, masked: bool) -> dict[str, Any]:
    """The largest difference between the last outputs of two networks, and the mean cosine between them: of each text, or of
    each token that is asked. With `masked`, the loss of both networks too."""
    largest, cosines, losses = 0.0, [], []
    for batch, places in batches(of):
        one, other = output(full, batch), output(small, batch)
        if one.ndim == 3:
            asked = torch.from_numpy(places >= 0)
            one, other = one[asked], other[asked]
        if not len(one):  # no token of these texts is asked
            continue
        largest = max(largest, float((one - other).abs().max()))
        cosines.append(F.cosine_similarity(one, other, dim=-1))
        if masked:
            labels = torch.from_numpy(of.tokens.ids[places[places >= 0]])
            losses.append([F.cross_entropy(logits, labels, reduction="none").numpy() for logits in (one, other)])
    found = {"largest_difference": round(largest, 4), "cosine": round(float(torch.cat(cosines).mean()), 4)}
    if masked:
        document = np.repeat(np.arange(len(of.tokens)), np.diff(of.tokens.offsets))[of.asked]
        found |= lost(np.concatenate(losses, axis=1), [of.groups[number] for number in document])
    return found


def lost(losses: np.ndarray, groups: list[str]) -> dict[str, Any]:
    """The loss per masked token of both networks, and the paired difference, from the losses of each token [2, tokens]."""
    sums, counts = by_group(losses, groups)
    drawn = resampled(sums, counts, RESAMPLES, settings().seed)
    full, small = (ratio(row, counts) for row in sums)
    return {
        "masked_tokens": int(counts.sum()),
        "loss": round(full, 4),
        "loss_int8": round(small, 4),
        "loss_difference": round(small - full, 4),
        "loss_difference_ci95": paired(drawn[1], drawn[0])["ci95"],
    }
