"""The order in which a training reads its windows, computed place by place, so that memory does not grow."""

from math import isqrt

import numpy as np

ROUNDS = 20  # of the Feistel network that orders an epoch; fewer do not mix five windows well enough


def splitmix64(seed: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The outputs `number`, counted from 0, of the generators with these seeds (Steele et al. 2014); uint64 arrays."""
    mixed = seed + (number + 1) * 0x9E3779B97F4A7C15
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB
    return mixed ^ mixed >> 31


def _permuted(numbers: np.ndarray, count: int, keys: np.ndarray) -> np.ndarray:
    """The image of each number under the permutation of range(count) with the number's key; uint64 arrays.

    A generalized Feistel network on a × b numbers, which is `count` or slightly more; it is applied again to results outside
    the range (cycle-walking, Black & Rogaway 2002). The round function is splitmix64. If a = b is odd, only even
    permutations of the a × b numbers occur, which are half of all.
    """
    a = isqrt(count - 1) + 1
    b = -(-count // a)
    left, right = numbers % a, numbers // a
    for turn in range(ROUNDS):
        modulus = b if turn % 2 else a
        left, right = right, (left + splitmix64(keys, right * ROUNDS + turn) % modulus) % modulus
    found = left + right * a
    outside = found >= count
    if outside.any():
        found[outside] = _permuted(found[outside], count, keys[outside])
    return found


def windows_of_step(count: int, places: np.ndarray, seed: int) -> np.ndarray:
    """The windows at these places of the endless reading order, both int64: each epoch of `count` places is a
    permutation of all windows with its own key, and the next epoch follows directly."""
    epochs, numbers = np.divmod(np.asarray(places, np.uint64), count)
    keys = splitmix64(splitmix64(np.zeros(1, np.uint64), np.array([seed], np.uint64)), epochs)
    return _permuted(numbers, count, keys).astype(np.int64)


def places_of_step(step: int, batch: int, replay: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The places that a step reads in the order of its own windows and in that of general text, whose share is `replay`.

    >>> [[part.tolist() for part in places_of_step(step, 2, 0.25)] for step in range(2)]
    [[[0, 1], []], [[2], [0]]]
    """
    begin, end = (int(number * batch * replay) for number in (step, step + 1))
    return np.arange(step * batch - begin, (step + 1) * batch - end), np.arange(begin, end)
