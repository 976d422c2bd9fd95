"""When a training has failed."""

import math

import pytest

from dapt.training.optimization.divergence import Diverged, Skips, hopeless


def test_fp16_has_failed_after_three_skips_at_scale_one_or_hundreds_at_any():
    assert not hopeless(2, 1.0) and not hopeless(7, 2.0) and hopeless(3, 1.0)
    assert not hopeless(199, 65536.0) and hopeless(200, 65536.0)


def test_skips_are_counted_in_all_and_in_a_row():
    skips = Skips()
    told = [skips.check(step, skipped, 1.5, None) for step, skipped in enumerate([True, False, True, True, False], 1)]
    assert told == [1.5] * 5 and (skips.total, skips.in_row) == (3, 0)


def test_a_step_that_was_taken_must_have_a_loss_and_one_that_was_left_out_need_not():
    assert Skips().check(1, True, math.inf, None) is None
    with pytest.raises(Diverged, match="the loss is not finite in step 7"):
        Skips().check(7, False, math.inf, None)
