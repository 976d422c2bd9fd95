"""Estimates of the bytes that a training step keeps between its forward and backward pass (docs/training.md)."""

LOGITS = 1_000_000_000  # bytes that logits may always take
LOGIT = 10  # bytes: in half precision, in fp32, and its gradient


def encoder_bytes(tokens: int, width: int, layers: int, half: bool) -> int:
    """34 bytes per token, hidden unit and layer in half precision (Korthikanti et al. 2022), twice that in fp32."""
    return 34 * tokens * width * layers * (1 if half else 2)


def picks_at_once(vocabulary: int, encoder: int) -> int:
    """For how many positions logits are computed at once, so that they never take more memory than the encoder or LOGITS.

    >>> picks_at_once(30_522, 5_100_000_000), picks_at_once(250_002, 5_100_000_000), picks_at_once(250_002, 0)
    (16709, 2039, 399)
    """
    return max(1, max(encoder, LOGITS) // (LOGIT * vocabulary))
