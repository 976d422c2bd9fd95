"""Whether a head was ever trained."""

import numpy as np
import pytest

from dapt.judging.probe import unigram_loss


def test_unigram_loss_is_the_cross_entropy_of_smoothed_frequencies():
    counts = np.array([0, 3, 1])
    assert unigram_loss(counts, np.array([1, 0])) == pytest.approx(-(np.log(4 / 7) + np.log(1 / 7)) / 2)
