"""oneDNN's linear layers."""

import torch

from dapt.judging.linear import use_onednn


def test_onednn_gives_what_torch_gives():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(48, 96), torch.nn.Linear(96, 8, bias=False))
    states = torch.randn(3, 5, 48)
    with torch.inference_mode():
        plain = network(states)
        use_onednn(network)
        assert torch.allclose(network(states), plain, atol=1e-5)
    assert not torch.backends.mkldnn.is_available() or all("forward" in vars(layer) for layer in network)
