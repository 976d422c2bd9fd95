"""The self-test of `dapt doctor`, on the processor; its graphs run on a card (training/test_on_gpu.py)."""

import math

import pytest
import torch

from dapt.tools import self_test as module
from dapt.tools.doctor import computes
from dapt.tools.self_test import difference, losses, self_test
from dapt.training.optimization.device import Device

CPU = torch.device("cpu")


def test_half_precision_is_near_fp32_and_the_loss_falls():
    text, problem = self_test(CPU, ["bf16", "fp16"])
    assert problem is None and "bf16 0." in text and "fp16 0." in text, text
    expected = losses(CPU, "fp32")
    assert expected[-1] < expected[0] and losses(CPU, "bf16") != expected


@pytest.mark.parametrize(
    "ours, share", [([2.0, 1.0], 0.0), ([2.0, 1.1], 0.1), ([2.2, 0.7], 0.3), ([2.0, math.nan], math.inf)]
)
def test_a_difference_is_a_share_of_the_loss(ours, share):
    assert difference(ours, [2.0, 1.0]) == pytest.approx(share)


def test_a_card_that_computes_something_else_is_a_problem(monkeypatch):
    right = losses(CPU, "fp32")
    monkeypatch.setattr(
        module, "losses", lambda device, precision, graphed=False: [*right[:-1], 9.0] if precision == "fp16" else right
    )
    text, problem = self_test(CPU, ["bf16", "fp16"])
    assert problem.startswith("wrong losses with fp16") and "bf16 0.00%" in text


def test_a_processor_is_not_tested():
    assert not list(computes(Device("cpu", "this processor", bf16=True, fp16=False)))


def test_a_card_whose_fp32_is_not_finite_is_not_sent_to_fp32(monkeypatch):
    monkeypatch.setattr(module, "losses", lambda device, precision, graphed=False: [math.nan, math.nan])
    assert self_test(CPU, ["fp16"])[1].startswith("losses in fp32 are not finite")
