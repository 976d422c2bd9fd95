"""The order of windows: permutations that are computed place by place."""

from math import factorial

import numpy as np
import pytest
from scipy import stats

from dapt.mlm.order import places_of_step, splitmix64, windows_of_step


def test_numbers_are_those_of_splitmix64():
    """The first outputs for the seed 1234567, as published with its C code, from another language's translation."""
    numbers = splitmix64(np.array([1234567], np.uint64), np.arange(5, dtype=np.uint64))
    assert numbers.tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def epochs(count: int, number: int, seed: int = 0) -> np.ndarray:
    return windows_of_step(count, np.arange(count * number), seed).reshape(number, count)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 16, 17, 64, 1000, 12345, 65536])
def test_an_epoch_is_a_permutation(count):
    found = epochs(count, 3)
    assert (np.sort(found, axis=1) == np.arange(count)).all()
    if count >= 64:
        assert not (found[0] == found[1]).all() and not (found[0] == epochs(count, 1, seed=1)[0]).all()


def test_places_are_read_pointwise_and_over_the_end_of_an_epoch():
    whole = epochs(10, 4, seed=3).ravel()
    places = np.array([17, 3, 39, 3, 10])
    assert np.array_equal(windows_of_step(10, places, 3), whole[places])
    assert np.array_equal(windows_of_step(10, np.arange(8, 12), 3), whole[8:12])


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_every_order_of_a_few_windows_is_as_likely(count):
    orders = np.unique(epochs(count, 200 * factorial(count)), axis=0, return_counts=True)[1]
    assert len(orders) == factorial(count) and stats.chisquare(orders).pvalue > 1e-3


@pytest.mark.parametrize("count", [7, 16, 61, 64])
def test_a_window_is_as_likely_at_every_place(count):
    by_epoch = epochs(count, 3000)
    by_seed = np.stack([epochs(count, 1, seed)[0] for seed in range(3000)])
    for found in (by_epoch, by_seed):
        values = [stats.chisquare(np.bincount(column, minlength=count)).pvalue for column in found.T]
        assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_an_order_is_as_random_as_numpys():
    """Neighbours, places and windows, and two epochs don't go together; as few windows stay in place."""
    count = 50021
    ours, numpys = epochs(count, 2), [np.random.default_rng(seed).permutation(count) for seed in range(2)]
    for one, other in (ours, numpys):
        pairs = [
            (one[:-1], one[1:]),
            (one[:-2], one[2:]),
            (np.arange(count), one),
            (one, other),
            (one % 224, other % 224),
        ]  # 224: the width of the network
        assert all(abs(stats.spearmanr(*pair).statistic) < 4 / np.sqrt(count) for pair in pairs)
        assert (one == np.arange(count)).sum() < 8 and (one == other).sum() < 8  # Poisson of mean 1
        steps = np.diff(one) % count  # uniform over 1 … count - 1
        assert stats.kstest(steps / count, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("replay", [0.0, 0.1, 0.25, 0.9])
def test_a_share_of_general_windows_is_replayed_and_both_texts_are_read_on_without_a_gap(replay):
    own, general = (np.concatenate(parts) for parts in zip(*(places_of_step(step, 7, replay) for step in range(50))))
    assert np.array_equal(own, np.arange(len(own))) and np.array_equal(general, np.arange(len(general)))
    assert len(own) + len(general) == 50 * 7 and abs(len(general) - 350 * replay) < 1
