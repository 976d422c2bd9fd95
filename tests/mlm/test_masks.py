"""BERT's masks, and those of an evaluation."""

import numpy as np
import pytest

from dapt.mlm.masks import IGNORED, fixed_masks, mask_rows
from dapt.mlm.tokens import Tokens


def test_masks_are_berts(special):
    """15 % of the text, of which 80 % [MASK], 10 % random, 10 % unchanged; never a special token."""
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 120, (2000, 40))
    text = rng.random(ids.shape) < 0.7
    masked, picks, labels = mask_rows(ids, text, 0.15, special, np.random.default_rng(1))
    used = labels != IGNORED
    rows = np.nonzero(used)[0]
    assert text[rows, picks[used]].all()
    assert np.array_equal(labels[used], ids[rows, picks[used]])
    untouched = np.ones(ids.shape, bool)
    untouched[rows, picks[used]] = False
    assert np.array_equal(masked[untouched], ids[untouched])
    assert used.sum() / text.sum() == pytest.approx(0.15, abs=0.003)
    shown = masked[rows, picks[used]]
    assert (shown == special.mask).mean() == pytest.approx(0.8, abs=0.02)
    assert (shown == labels[used]).mean() == pytest.approx(0.1, abs=0.02)


def test_fixed_masks_do_not_depend_on_the_rest_of_the_set(tokens, special):
    keys = np.arange(1000, 1000 + len(tokens)).astype(np.uint64)
    shown, predicted = fixed_masks(tokens, keys, 0.15, special, seed=4)
    half = len(tokens) // 2
    start = tokens.offsets[half]
    later = Tokens(tokens.ids[start:], tokens.offsets[half:] - start)
    shown_later, predicted_later = fixed_masks(later, keys[half:], 0.15, special, seed=4)
    assert np.array_equal(shown[start:], shown_later) and np.array_equal(predicted[start:], predicted_later)
    other, _ = fixed_masks(tokens, keys, 0.15, special, seed=5)
    assert not np.array_equal(shown, other)
