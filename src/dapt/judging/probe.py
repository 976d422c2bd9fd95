"""Whether a masked-LM head was ever trained: its loss on a general text, compared with that of token frequencies.

A head counts as trained if the model's loss on probe_text/text.txt, which was written for this purpose, is lower than that
of token frequencies alone. The frequencies are those of another text: probe_text/words.tsv counts the words of the sample's
general news. Each token of the text is predicted once: in draw d of DRAWS, those at places d, d + DRAWS, … of a random order.
"""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from dapt.mlm.batches import Batch, fixed_batches
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.masks import IGNORED, masked_as_bert
from dapt.mlm.tokens import Tokens, encode_tokens
from dapt.mlm.windows import text_in_memory
from dapt.model import architectures
from dapt.model.tokenizer import Special

PROBE = Path(__file__).parent / "probe_text"
DRAWS, WINDOW, BATCH = 7, 128, 8  # one seventh is about the share that BERT predicts


def masked(tokens: Tokens, special: Special, draw: int, window: int = WINDOW) -> list[Batch]:
    """The probe text with the tokens of one draw masked."""
    rng = np.random.Generator(np.random.Philox(key=[0, draw]))
    order = np.random.Generator(np.random.Philox(key=[1, 0])).permutation(len(tokens.ids))
    places = order[draw::DRAWS]
    shown, predicted = np.array(tokens.ids, np.int64), np.zeros(len(tokens.ids), bool)
    shown[places] = masked_as_bert(shown[places], special, rng)
    predicted[places] = True
    text = text_in_memory(tokens, window, special)
    return [batch for batch, _ in fixed_batches(text, shown, predicted, BATCH)]


def word_tokens(tokenizer: Tokenizer) -> np.ndarray:
    """How often each token id occurs in the words of probe_text/words.tsv, int64 [vocabulary]."""
    pairs = [line.split("\t") for line in (PROBE / "words.tsv").read_text(encoding="utf-8").splitlines()]
    counts = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True), np.int64)
    encoded = tokenizer.encode_batch_fast([f" {word}" for word, _ in pairs], add_special_tokens=False)
    for encoding, (_, count) in zip(encoded, pairs):
        np.add.at(counts, encoding.ids, int(count))
    return counts


@torch.no_grad()
def head(masked_lm: MaskedLM, tokenizer: Tokenizer, special: Special, missing: bool = False) -> dict:
    """Whether the head is trained, untrained or `missing`, with the figures that tell: the mean loss over the probe's
    tokens, that of token frequencies, and the number of tokens. The model is left in eval mode."""
    masked_lm.eval()
    device = next(masked_lm.parameters()).device
    window = int(min(WINDOW, architectures.usable_positions(masked_lm.model)))
    text = encode_tokens(tokenizer, special, (PROBE / "text.txt").read_text(encoding="utf-8").splitlines())
    losses, labels = [], []
    for batch in (batch for draw in range(DRAWS) for batch in masked(text, special, draw, window)):
        asked = batch.labels.flatten() != IGNORED
        losses.append(masked_lm(*batch.tensors(device)).cpu().numpy()[asked])
        labels.append(batch.labels.flatten()[asked])
    loss = float(np.concatenate(losses).mean())
    frequencies = unigram_loss(word_tokens(tokenizer), np.concatenate(labels))
    return {
        "head": "missing" if missing else "trained" if loss < frequencies else "untrained",
        "loss": round(loss, 4),
        "unigram_loss": round(frequencies, 4),
        "masked_tokens": sum(map(len, labels)),
    }


def unigram_loss(counts: np.ndarray, labels: np.ndarray) -> float:
    """Cross-entropy of `labels` under add-one-smoothed token frequencies, int64 [vocabulary]: the loss of a model that
    sees no context. A head with a higher loss is untrained."""
    smoothed = counts + 1.0
    return float(-np.log(smoothed / smoothed.sum())[labels].mean())
