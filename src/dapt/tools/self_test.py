"""A few steps of a small model on a GPU: half precision against fp32, and a replayed CUDA graph against eager steps.

It takes seconds, and detects a driver, torch or GPU that computes wrong results before a training is affected.
"""

import math

import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM

from dapt.mlm.batches import Batch
from dapt.mlm.masked_lm import MaskedLM
from dapt.training.graphs import EAGER, StepGraph
from dapt.training.optimization.optimizer import optimizer

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
STEPS = EAGER + 3
NEAR = 0.02  # relative to the loss: half precision has two to three digits
VOCABULARY, ROWS, SIZE, PICKS = 1000, 16, 64, 8


def batch() -> Batch:
    """Windows with two texts of random tokens each; some of the tokens are predicted, without masking."""
    rng = np.random.default_rng(0)
    ids = rng.integers(5, VOCABULARY, (ROWS, SIZE))
    half = np.arange(SIZE) % (SIZE // 2)
    picks = np.sort(rng.permuted(np.tile(np.arange(SIZE), (ROWS, 1)), axis=1)[:, :PICKS])
    segments = np.tile(1 + np.arange(SIZE) // (SIZE // 2), (ROWS, 1))
    return Batch(ids, segments, np.tile(half, (ROWS, 1)), picks, np.take_along_axis(ids, picks, axis=1))


def losses(device: torch.device, precision: str, graphed: bool = False) -> list[float]:
    """Losses of STEPS steps on one batch, from the same random weights; if `graphed`, the last steps replay a graph."""
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=VOCABULARY, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256
    )
    model = MaskedLM(BertForMaskedLM(shape)).to(device)
    optim = optimizer(model.named_parameters(), 0.01)
    for group in optim.param_groups:
        group["lr"] = torch.tensor(1e-3, device=device)
    scaler = torch.amp.GradScaler(device.type, init_scale=1024.0, enabled=precision == "fp16")

    def step(tensors: tuple[torch.Tensor, ...], predicted: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, HALVES.get(precision), precision in HALVES, cache_enabled=False):
            loss = model(*tensors).sum() / predicted
        scaler.scale(loss).backward()
        scaler.step(optim)
        scaler.update()
        return loss.detach()

    one, found = batch(), []
    predicted = torch.tensor(float(ROWS * PICKS), device=device)
    graph: StepGraph | None = None
    for number in range(STEPS):
        if graphed and number == EAGER:
            for group in optim.param_groups:
                group["capturable"] = True
            graph = StepGraph(step, one, ROWS * PICKS, device)
        found.append(graph.replay(one, ROWS * PICKS) if graph else step(one.tensors(device), predicted))
        if not graph:
            optim.zero_grad()
    return torch.stack(found).tolist()


def difference(ours: list[float], theirs: list[float]) -> float:
    """The largest relative difference; infinite if a loss is not finite."""
    shares = (abs(one - other) / other for one, other in zip(ours, theirs, strict=True))
    return max(share if math.isfinite(share) else math.inf for share in shares)


def self_test(device: torch.device, precisions: list[str]) -> tuple[str, str | None]:
    """Compare the half precisions that the device supports with fp32 and, on a GPU, graphs with eager steps of the same
    precision; return what was compared, and what is wrong, if anything."""
    expected = losses(device, "fp32")
    eager = {precision: losses(device, precision) for precision in precisions}
    found = {precision: difference(ours, expected) for precision, ours in eager.items()}
    if device.type == "cuda":
        for precision, theirs in eager.items():
            found[f"a CUDA graph in {precision}"] = difference(losses(device, precision, graphed=True), theirs)
    text = f"{STEPS} steps of a small model, loss {expected[0]:.3f} to {expected[-1]:.3f} in fp32; largest difference: "
    text += ", ".join(f"{name} {share:.2%}" for name, share in found.items())
    if not all(map(math.isfinite, expected)):
        return text, "losses in fp32 are not finite on this GPU; update the driver or torch, or use another GPU"
    wrong = [name for name, share in found.items() if share > NEAR]
    problem = (
        f"wrong losses with {' and '.join(wrong)} on this GPU; update the driver or torch, or set "
        "train.precision to fp32 and train.graphs to off"
    )
    return text, problem if wrong else None
