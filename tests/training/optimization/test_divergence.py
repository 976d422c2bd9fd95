"""When a training has failed."""

from dapt.training.optimization.divergence import hopeless


def test_fp16_has_failed_after_three_skips_at_scale_one():
    assert not hopeless(2, 1.0) and not hopeless(7, 2.0) and hopeless(3, 1.0)
