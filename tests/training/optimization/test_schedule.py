import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup, get_wsd_schedule

from dapt.training.optimization.schedule import Schedule, length

SCHEDULE = Schedule(steps=40, lr=1e-3, warmup=5, weight_decay=0.01, clip=1.0)


@pytest.mark.parametrize(
    "shape, theirs",
    [
        ("linear", lambda optim: get_linear_schedule_with_warmup(optim, 5, 40)),
        ("cosine", lambda optim: get_cosine_schedule_with_warmup(optim, 5, 40)),
        (
            "one-minus-sqrt",
            lambda optim: get_wsd_schedule(
                optim, num_warmup_steps=5, num_stable_steps=27, num_decay_steps=8, decay_type="1-sqrt"
            ),
        ),
    ],
)
def test_learning_rates_are_those_of_transformers(shape, theirs):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optim = torch.optim.SGD([parameter], lr=SCHEDULE.lr)
    reference, ours = theirs(optim), Schedule(**vars(SCHEDULE) | {"shape": shape})
    for step in range(40):
        # theirs begins at 0, a step without effect; ours is theirs one step on during warm-up
        expected = reference.get_last_lr()[0] if step >= 5 else 1e-3 * (step + 1) / 5
        assert ours.rate(step) == pytest.approx(expected, abs=1e-9), step
        optim.step()
        reference.step()
    assert ours.rate(40) == pytest.approx(0, abs=1e-12)


def test_a_length_in_steps_epochs_or_tokens():
    assert length(7, None, None, 100, 8, 12_000) == 7 and length(0, None, None, 100, 8, 12_000) == 0
    assert length(None, 0.5, None, 100, 8, 12_000) == 7 and length(None, None, 1, 100, 8, 12_000) == 1
