"""Attention on a processor, against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from dapt.model import attention

ROWS, HEADS, SIZE, WIDTH = 3, 4, 24, 16


@pytest.fixture
def given():
    """Query, key and value in fp32, and two texts a row, the second with what could be padding behind it."""
    torch.manual_seed(0)
    heads = [torch.randn(ROWS, HEADS, SIZE, WIDTH, requires_grad=True) for _ in range(3)]
    texts = torch.tensor([[1] * 10 + [2] * 9 + [0] * 5, [1] * 24, [1] * 2 + [2] * 22])
    return heads, texts[:, None, :, None] == texts[:, None, None, :]


def test_it_and_its_gradients_equal_torchs(given):
    heads, pairs = given
    weight = torch.randn(ROWS, HEADS, SIZE, WIDTH)
    ours = attention.products(*heads, pairs, 0.3, 0.0)
    theirs = F.scaled_dot_product_attention(*heads, pairs, scale=0.3)
    assert torch.allclose(ours, theirs, atol=1e-6)
    for mine, other in zip(*(torch.autograd.grad((result * weight).sum(), heads) for result in (ours, theirs))):
        assert torch.allclose(mine, other, atol=1e-5)


def test_in_bf16_on_a_processor_it_is_taken_and_near_fp32(given, monkeypatch):
    heads, pairs = given
    expected = F.scaled_dot_product_attention(*heads, pairs).transpose(1, 2)
    theirs, _ = attention.attend(torch.nn.Module(), *heads, pairs)
    assert torch.allclose(theirs, expected, atol=1e-6)  # in fp32 it is torch's
    monkeypatch.setattr(F, "scaled_dot_product_attention", None)
    ours, _ = attention.attend(torch.nn.Module(), *(part.bfloat16() for part in heads), pairs)
    assert ours.dtype == torch.bfloat16 and ours.is_contiguous()
    assert torch.allclose(ours.float(), expected, atol=0.03)


def test_dropout_leaves_out_its_share_and_scales_the_rest(given):
    (query, key, _), _ = given
    values = torch.eye(SIZE).expand(ROWS, HEADS, SIZE, SIZE)  # what comes out are the weights
    everywhere = torch.ones(ROWS, 1, SIZE, SIZE, dtype=torch.bool)
    query, key = (F.pad(part, (0, SIZE - WIDTH)) for part in (query, key))
    whole, dropped = (attention.products(query, key, values, everywhere, 0.25, rate) for rate in (0.0, 0.25))
    kept = dropped != 0
    assert torch.allclose(dropped[kept], whole[kept] / 0.75)
    assert 1 - kept.float().mean() == pytest.approx(0.25, abs=0.03)
