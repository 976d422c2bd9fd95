"""Intervals by the bootstrap over groups (Efron 1979): groups are drawn with replacement, with all that is in them."""

import numpy as np

CHUNK = 1 << 22  # weights at once


def ratio(losses: np.ndarray, masked: np.ndarray) -> float:
    """Loss a masked token: sums over groups, since long groups count for more."""
    return float(losses.sum() / masked.sum())


def resampled(losses: np.ndarray, masked: np.ndarray, times: int, seed: int) -> np.ndarray:
    """Losses a masked token of `times` resamples of the groups: float64 [models, times] from losses [models, groups].

    All models see the same resamples, so that their differences are paired. `masked` is what each group holds.
    """
    groups = len(masked)
    rng = np.random.Generator(np.random.Philox(seed))
    found, step = [], max(1, CHUNK // groups)
    for start in range(0, times, step):
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), min(step, times - start)).astype(float)
        found.append((losses @ weights.T) / (weights @ masked))
    return np.concatenate(found, axis=1)


def interval(values: np.ndarray) -> list[float]:
    """The middle 95 %."""
    return [round(float(value), 4) for value in np.quantile(values, [0.025, 0.975])]
