import numpy as np
import pytest
from scipy.stats import bootstrap

from dapt.stats import interval, ratio, resampled


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    masked = rng.integers(1, 60, 400).astype(float)
    return rng.gamma(9, 0.5, 400) * masked, masked


def test_interval_is_that_of_scipys_bootstrap(sample):
    losses, masked = sample
    ours = interval(resampled(losses[None], masked, 4000, seed=1)[0])
    theirs = bootstrap((losses, masked), lambda a, b, axis=-1: a.sum(axis) / b.sum(axis), paired=True, vectorized=True,
                       method="percentile", n_resamples=4000, rng=np.random.default_rng(2)).confidence_interval
    assert ours == pytest.approx(list(theirs), abs=0.02)
    assert ours[0] < ratio(losses, masked) < ours[1]


def test_models_share_the_resamples_so_that_a_constant_difference_has_no_spread(sample):
    losses, masked = sample
    one, other = resampled(np.stack([losses, losses - 0.3 * masked]), masked, 500, seed=1)
    assert one - other == pytest.approx(0.3)
    assert np.std(one) > 0.01


def test_a_split_into_chunks_changes_nothing(sample, monkeypatch):
    losses, masked = sample
    whole = resampled(losses[None], masked, 50, seed=3)
    monkeypatch.setattr("dapt.stats.CHUNK", 7 * 400)
    assert resampled(losses[None], masked, 50, seed=3) == pytest.approx(whole, rel=1e-12)
