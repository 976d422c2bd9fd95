from itertools import combinations

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_rel

from dapt.judging.statistics import apart, by_group, holm, interval, paired, ratio, resampled


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    masked = rng.integers(1, 60, 400).astype(float)
    return rng.gamma(9, 0.5, 400) * masked, masked


def test_interval_is_that_of_scipys_bootstrap(sample):
    losses, masked = sample
    ours = interval(resampled(losses[None], masked, 4000, seed=1)[0])
    theirs = bootstrap(
        (losses, masked),
        lambda a, b, axis=-1: a.sum(axis) / b.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(2),
    ).confidence_interval
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
    monkeypatch.setattr("dapt.judging.statistics.CHUNK", 7 * 400)
    assert resampled(losses[None], masked, 50, seed=3) == pytest.approx(whole, rel=1e-12)


def test_rows_are_summed_by_group():
    values, sizes = by_group(np.array([[1.0, 2.0, 4.0], [0.0, 1.0, 0.0]]), ["b", "a", "b"])
    assert values.tolist() == [[2, 5], [1, 0]] and sizes.tolist() == [1, 2]


def test_p_of_a_paired_difference_is_that_of_the_normal_test_where_groups_are_many():
    rng = np.random.default_rng(3)
    base = rng.uniform(0, 1, 1000)
    better = base + rng.normal(0.015, 0.3, 1000)
    sums, sizes = by_group(np.stack([better, base]), [str(number) for number in range(1000)])
    one, other = resampled(sums, sizes, 20000, seed=0)
    assert paired(one, other)["p"] == pytest.approx(ttest_rel(better, base).pvalue, abs=0.03)
    assert paired(one, other)["ci95"] == pytest.approx(
        [float(x) for x in ttest_rel(better, base).confidence_interval()], abs=0.002
    )
    assert paired(one, one)["p"] == 1
    assert paired(one + 1, one)["p"] == pytest.approx(2 / 20001)


def test_holm_is_the_closed_test_of_bonferroni():
    """p adjusted = the largest, over all sets of hypotheses with this one, of their smallest p times their number."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        p = rng.uniform(0, 0.3, 5).tolist()
        closed = [
            max(
                min(1.0, len(group) * min(p[number] for number in group))
                for size in range(1, 6)
                for group in combinations(range(5), size)
                if one in group
            )
            for one in range(5)
        ]
        assert holm(p) == pytest.approx(closed)


def test_of_a_single_group_there_is_no_interval_and_no_p(sample):
    """Also where others hold nothing."""
    for losses, masked in (
        (np.array([[3.0], [2.0]]), np.ones(1)),
        (np.array([[3.0, 0], [2.0, 0]]), np.array([1.0, 0])),
    ):
        one, other = resampled(losses, masked, 100, seed=0)
        assert interval(one) is None and paired(one, other) == {"ci95": None, "p": None}
        assert not apart(interval(one - other))


def test_a_difference_is_significant_where_its_interval_does_not_contain_0():
    assert [apart(ci) for ci in ([0.1, 0.2], [-0.2, -0.1], [-0.1, 0.2], [0.0, 0.1])] == [True, True, False, False]
