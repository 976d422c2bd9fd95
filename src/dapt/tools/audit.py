"""`dapt audit --model DIR`: what a checkpoint is as a masked language model, and whether its head was ever trained.

`dapt base` asks the same of its base (`head`). A head is trained where the model's loss on a general text
(probe/text.txt, written for this) is below what token frequencies alone reach there. These come from other text:
probe/words.tsv counts the words of the sample's general news.
Each token of the text is predicted once: in draw d of DRAWS those whose place in a random order is d, d + DRAWS, …
"""

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from dapt.model.masked_lm import masked_lm
from dapt.mlm.batches import IGNORED, Batch, fixed_batches, masked_as_bert, windows
from dapt.model.masked_lm.masked_lm import MaskedLM, tensors
from dapt.mlm.tokens import Special, Tokens, encode_tokens, load_tokenizer

PROBE = Path(__file__).parent / "probe"
DRAWS, WINDOW, BATCH = 7, 128, 8  # a seventh is about the share that BERT predicts


def masked(tokens: Tokens, special: Special, draw: int, window: int = WINDOW) -> list[Batch]:
    """The probe with the tokens of one draw masked."""
    rng = np.random.Generator(np.random.Philox(key=[0, draw]))
    order = np.random.Generator(np.random.Philox(key=[1, 0])).permutation(len(tokens.ids))
    places = order[draw::DRAWS]
    shown, predicted = np.array(tokens.ids, np.int64), np.zeros(len(tokens.ids), bool)
    shown[places] = masked_as_bert(shown[places], special, rng)
    predicted[places] = True
    chosen = windows(tokens, window)
    every = np.arange(len(chosen))
    return [batch for batch, _ in fixed_batches(tokens, chosen, every, shown, predicted, special, BATCH)]


def word_tokens(tokenizer: Tokenizer) -> np.ndarray:
    """How often each token id stands in the words of probe/words.tsv, int64 [vocabulary]."""
    pairs = [line.split("\t") for line in (PROBE / "words.tsv").read_text(encoding="utf-8").splitlines()]
    counts = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True), np.int64)
    encoded = tokenizer.encode_batch_fast([f" {word}" for word, _ in pairs], add_special_tokens=False)
    for encoding, (_, count) in zip(encoded, pairs):
        np.add.at(counts, encoding.ids, int(count))
    return counts


@torch.no_grad()
def head(masked_lm: MaskedLM, tokenizer: Tokenizer, special: Special, missing: bool = False) -> dict:
    """Whether the head is trained, untrained or `missing`, and by which figures: the mean loss over the probe's tokens,
    that of token frequencies, and how many tokens. The model is left in eval mode."""
    masked_lm.eval()
    device = next(masked_lm.parameters()).device
    window = min(WINDOW, masked_lm.usable_positions(masked_lm.model))
    text = encode_tokens(tokenizer, special, (PROBE / "text.txt").read_text(encoding="utf-8").splitlines())
    losses, labels = [], []
    for batch in (batch for draw in range(DRAWS) for batch in masked(text, special, draw, window)):
        asked = batch.labels.flatten() != IGNORED
        losses.append(masked_lm(*tensors(batch, device))[0].cpu().numpy()[asked])
        labels.append(batch.labels.flatten()[asked])
    loss = float(np.concatenate(losses).mean())
    frequencies = masked_lm.unigram_loss(word_tokens(tokenizer), np.concatenate(labels))
    return {"head": "missing" if missing else "trained" if loss < frequencies else "untrained", "loss": round(loss, 4),
            "unigram_loss": round(frequencies, 4), "masked_tokens": sum(map(len, labels))}


def audit(folder: Path) -> dict:
    """What `dapt audit` prints."""
    tokenizer, special = load_tokenizer(folder)
    loaded, found = masked_lm.load(folder)
    masked_lm.check_fits(loaded, special)
    return {"type": loaded.config.model_type, "parameters": found.parameters,
            "missing": found.missing, "unexpected": found.unexpected,
            "pooler": "present" if masked_lm.pooler(folder, loaded.base_model_prefix) else "missing",
            **head(MaskedLM(loaded), tokenizer, special, found.head_missing)}


def run(folder: Path, as_json: bool) -> None:
    found = audit(folder)
    if as_json:
        print(json.dumps(found))
        return
    print(f"{folder}: {found['type']}, {found['parameters']:,} parameters; head {found['head']}: loss {found['loss']} on "
          f"general text, token frequencies alone {found['unigram_loss']} ({found['masked_tokens']:,} tokens); pooler "
          f"{found['pooler']}; missing: {', '.join(found['missing']) or 'nothing'}; not expected: "
          f"{', '.join(found['unexpected']) or 'nothing'}")
