"""Bootstrap intervals over groups (Efron 1979): whole groups are drawn with replacement."""

import numpy as np

RESAMPLES = 2000  # for the interval of a single figure
CHUNK = 1 << 22  # weights computed at once


def ratio(losses: np.ndarray, masked: np.ndarray) -> float:
    """Loss per masked token: a ratio of sums over groups, so that long groups count more."""
    return float(losses.sum() / masked.sum())


def resampled(losses: np.ndarray, masked: np.ndarray, times: int, seed: int) -> np.ndarray:
    """Losses per masked token of `times` resamples of the groups: float64 [models, times] from losses [models, groups].

    All models get the same resamples, so that their differences are paired. `masked` is the number of masked tokens in each
    group. If fewer than two groups have any, there is no spread and all results are nan; so is a resample without any.
    """
    groups = len(masked)
    if (masked > 0).sum() < 2:
        return np.full((len(losses), times), np.nan)
    rng = np.random.Generator(np.random.Philox(seed))
    found, step = [], max(1, CHUNK // groups)
    for start in range(0, times, step):
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), min(step, times - start)).astype(float)
        with np.errstate(invalid="ignore"):
            found.append((losses @ weights.T) / (weights @ masked))
    return np.concatenate(found, axis=1)


def interval(values: np.ndarray) -> list[float] | None:
    """The central 95 % of the finite values; None if there are none."""
    numbers = values[np.isfinite(values)]
    return [round(float(value), 4) for value in np.quantile(numbers, [0.025, 0.975])] if len(numbers) else None


def bootstrap(losses: np.ndarray, masked: np.ndarray, seed: int) -> list[float] | None:
    """The interval of one model's loss, from sums and masked tokens per group, both [groups]; None for a single group."""
    return interval(resampled(losses[None], masked, RESAMPLES, seed)[0])


def by_group(values: np.ndarray, groups: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Values [models, rows] summed over each group [models, groups], and how many rows each has [groups]."""
    number = np.unique(groups, return_inverse=True)[1]
    return np.array([np.bincount(number, row) for row in values]), np.bincount(number).astype(float)


def paired(one: np.ndarray, other: np.ndarray) -> dict:
    """From two models' resamples of the same groups: the interval of their difference, and the two-sided p-value of a
    difference of 0, twice the share of resamples on the rarer side (Efron & Tibshirani 1993, 15.4; the observed difference
    is counted too). Both are None if no resample is finite."""
    difference = one - other
    difference = difference[np.isfinite(difference)]
    if not len(difference):
        return {"ci95": None, "p": None}
    rarer = min((difference <= 0).sum(), (difference >= 0).sum())
    return {"ci95": interval(difference), "p": min(1.0, 2 * (int(rarer) + 1) / (len(difference) + 1))}


def apart(ci95: list[float] | None) -> bool:
    """Whether a difference with this interval is significant: the interval does not contain 0. Without one it is not."""
    return ci95 is not None and not ci95[0] <= 0 <= ci95[1]


def holm(p: list[float]) -> list[float]:
    """p-values adjusted for their number, in the same order (Holm 1979): the smallest is multiplied by n, the next by n - 1
    and so on, and none becomes smaller than the one before it.

    >>> holm([0.03, 0.01, 0.04])
    [0.06, 0.03, 0.06]
    """
    adjusted, so_far = [0.0] * len(p), 0.0
    for place, number in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        so_far = max(so_far, min(1.0, (len(p) - place) * p[number]))
        adjusted[number] = so_far
    return adjusted


def paired_intervals(sums: np.ndarray, counts: np.ndarray, seed: int) -> list[dict]:
    """For each model the interval of its loss and, except for the first, its paired difference to the first; from sums over
    groups [models, groups] and the tokens or words in each group, float64 [groups]."""
    sums, counts = sums[:, counts > 0], counts[counts > 0]  # a resample of empty groups has no mean
    drawn = resampled(sums, counts, RESAMPLES, seed)
    means = [ratio(row, counts) for row in sums]
    found: list[dict] = [{"loss_ci95": interval(some)} for some in drawn]
    for one, mean, some in zip(found[1:], means[1:], drawn[1:]):
        one["vs_first"] = {"diff": round(mean - means[0], 4), "ci95": interval(some - drawn[0])}
    return found
