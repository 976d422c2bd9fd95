"""Which tokens are predicted and what the model reads instead: pure functions of the tokens and a random generator."""

import numpy as np

from dapt.mlm.tokens import Tokens
from dapt.model.tokenizer import Special

IGNORED = -100  # a label that is ignored, as in torch's cross_entropy


def masked_as_bert(tokens: np.ndarray, special: Special, rng: np.random.Generator) -> np.ndarray:
    """What replaces predicted tokens: 80 % [MASK], 10 % a random token, 10 % the token (Devlin et al. 2019)."""
    fate, other = rng.random(tokens.shape), rng.integers(0, special.vocabulary, tokens.shape)
    return np.where(fate < 0.8, special.mask, np.where(fate < 0.9, other, tokens))


def most_picks(size: int, rate: float) -> int:
    """The most tokens that are predicted in a window of `size`, [CLS] and [SEP] included."""
    return int((size - 2) * rate) + 1


def mask_rows(
    ids: np.ndarray,
    text: np.ndarray,
    rate: float,
    special: Special,
    rng: np.random.Generator,
    continues: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """BERT's masking: a share `rate` of each row's tokens that are `text` (bool, shape of ids) is predicted.

    The count in a row is rate × tokens, rounded up or down at random so that it is right on average; its upper bound K,
    most_picks, is the same for every batch, which keeps shapes static. With `continues`, bool [vocabulary], true for tokens
    that continue the word before them, whole words are predicted, as many as fit into the count (whole-word masking).
    Returns ids, picks and labels as in Batch.
    """
    rows, size = ids.shape
    most = most_picks(size, rate)
    count = np.minimum((text.sum(1) * rate + rng.random(rows)).astype(np.int64), most)
    lottery = rng.random(ids.shape)
    if continues is not None:
        lottery, count = _whole_words(lottery, text, continues[ids], count)
    picks = np.argsort(np.where(text, lottery, 2.0), axis=1, kind="stable")[:, :most]
    labels = np.take_along_axis(ids, picks, axis=1)
    shown = masked_as_bert(labels, special, rng)
    used = np.arange(most) < count[:, None]
    masked = ids.copy()
    np.put_along_axis(masked, picks, np.where(used, shown, labels), axis=1)
    return masked, picks, np.where(used, labels, IGNORED)


def _whole_words(
    lottery: np.ndarray, text: np.ndarray, continues: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One random number for all tokens of a word, and the largest count that splits no word: [rows, size] and [rows]."""
    before = np.pad(text, ((0, 0), (1, 0)))[:, :-1]
    begins = ~(continues & text & before)
    first = np.maximum.accumulate(np.where(begins, np.arange(text.shape[1]), 0), axis=1)
    lottery = np.take_along_axis(lottery, first, axis=1)
    order = np.argsort(np.where(text, lottery, 2.0), axis=1, kind="stable")
    words = np.take_along_axis(first, order, axis=1)
    new_word = np.pad(words[:, 1:] != words[:, :-1], ((0, 0), (1, 1)), constant_values=True)  # [rows, size + 1]
    place = np.where(new_word & (np.arange(text.shape[1] + 1) <= count[:, None]), np.arange(text.shape[1] + 1), 0)
    return lottery, place.max(1)


def fixed_masks(
    tokens: Tokens, keys: np.ndarray, rate: float, special: Special, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Masks for evaluation, a function of the seed and a document's key: they do not depend on the rest of the set or on the
    batches. Unknown and special tokens are not predicted even if drawn. Returns the masked ids and which of them are
    predicted, both over all tokens of the set."""
    shown, predicted = np.array(tokens.ids, np.int64), np.zeros(len(tokens.ids), bool)
    for document, key in enumerate(keys.tolist()):
        start, stop = int(tokens.offsets[document]), int(tokens.offsets[document + 1])
        rng = np.random.Generator(np.random.Philox(key=[seed, key]))
        count = int((stop - start) * rate + rng.random())
        places = start + rng.permutation(stop - start)[:count]
        places = places[special.known(tokens.ids[places])]
        shown[places] = masked_as_bert(shown[places], special, rng)
        predicted[places] = True
    return shown, predicted
