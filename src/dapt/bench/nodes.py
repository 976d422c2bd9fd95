"""`dapt bench nodes`: how much several nodes speed up a training of BERT-base's size; run it with srun to measure this.

    dapt bench nodes
    srun --nodes=2 --ntasks-per-node=1 --mem=8G dapt bench nodes

It times steps of 8 windows on the CPU, with one thread per process and the windows divided among the processes, and separately
the sum of all gradients over the processes (gloo). Then it estimates the same for GPUs, with these formulas:

- a step of B windows on one GPU takes its floating-point operations (`step_flops` of the bench `train`) divided by
  SHARE of PEAK; on N GPUs one N-th of that, one third for the forward pass, two thirds for the backward pass;
- a ring all-reduce of S bytes takes 2 (N - 1) / N · S / bandwidth (Patarasu and Yuan, 2009), and S is 4 bytes per
  parameter; at best it overlaps with the backward pass, so a step takes forward + max(backward, all-reduce).
"""

import json
import os
import statistics
import time
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from transformers import BertConfig, BertForMaskedLM

from dapt.bench.sides import WINDOW, step_flops
from dapt.core.paths import LOGS
from dapt.mlm.masked_lm import MaskedLM
from dapt.telling.errors import UserError
from dapt.training.optimization.optimizer import optimizer

WINDOWS, PICKS = 8, 19  # windows per step, over all processes; predicted tokens per window
PEAK, SHARE = 53.8e12, 0.4  # FLOP/s of an RTX 2080 Ti in fp16 with fp32 accumulation (NVIDIA's white paper on Turing)
NETWORKS = {"1 Gbit/s": 1e9, "10 Gbit/s": 10e9, "25 Gbit/s": 25e9, "InfiniBand, 100 Gbit/s": 100e9}


def all_reduce_seconds(nodes: int, size: float, bits: float) -> float:
    """Seconds of a ring all-reduce of `size` bytes between nodes that each send `bits` per second."""
    return 2 * (nodes - 1) / nodes * size * 8 / bits


def speed_up(nodes: int, alone: float, all_reduce: float) -> float:
    """Ratio of tokens per second to those of one node, whose step takes `alone` seconds."""
    share = alone / nodes
    return alone / (share / 3 + max(2 / 3 * share, all_reduce))


def median_seconds(rounds: int, act: Callable[[], object]) -> float:
    """Median seconds of an action that all processes start together; the first run is not timed."""
    seconds = []
    for _ in range(1 + rounds):
        if dist.is_initialized():
            dist.barrier()
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def measure(rounds: int, nodes: int) -> dict:
    """Seconds of a step and of the gradients' all-reduce, in one of `nodes` processes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = MaskedLM(BertForMaskedLM(BertConfig()))
    optim, rows = optimizer(model.named_parameters(), 0.01), WINDOWS // nodes
    forward = DistributedDataParallel(model) if nodes > 1 else model
    ids = torch.randint(1000, 30000, (rows, WINDOW))
    places = torch.arange(WINDOW).expand(rows, -1)
    picks = torch.arange(PICKS).expand(rows, -1)

    def step() -> None:
        losses = forward(ids, torch.ones_like(ids), places, picks, ids[:, :PICKS])
        losses.mean().backward()
        optim.step()
        optim.zero_grad()

    gradients = torch.zeros(sum(value.numel() for value in model.parameters()))
    return {
        "nodes": nodes,
        "windows": WINDOWS,
        "step_s": round(median_seconds(rounds, step), 2),
        "all_reduce_s": round(median_seconds(rounds, lambda: dist.all_reduce(gradients)), 2) if nodes > 1 else 0.0,
        "gradient_mb": round(4 * gradients.numel() / 1e6),
    }


def predicted(size: float, windows: int, nodes: int = 2) -> dict:
    """The estimate for GPUs, one per node."""
    alone = step_flops(BertConfig(), windows, WINDOW, windows * PICKS) / (PEAK * SHARE)
    return {"windows": windows, "gpu_step_ms": round(1000 * alone)} | {
        name: round(speed_up(nodes, alone, all_reduce_seconds(nodes, size, bits)), 2) for name, bits in NETWORKS.items()
    }


def run(rounds: int, as_json: bool) -> None:
    # Variables of the job step: in an allocation (salloc, sbatch) without srun there is one process, whatever SLURM_NTASKS is.
    nodes, rank = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)), int(os.environ.get("SLURM_PROCID", 0))
    if rounds < 1 or WINDOWS % nodes:
        raise UserError(f"--rounds must be at least 1, and the number of processes (now {nodes}) must divide {WINDOWS}")
    if nodes > 1:
        LOGS.mkdir(exist_ok=True)
        meeting = LOGS.resolve() / f".bench-nodes-{os.environ['SLURM_JOB_ID']}-{os.environ['SLURM_STEP_ID']}"
        dist.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=nodes)
    measured = measure(rounds, nodes)
    if rank == 0:
        for line in (measured, *(predicted(measured["gradient_mb"] * 1e6, windows) for windows in (8, 32, 128, 512))):
            print(json.dumps(line) if as_json else "  ".join(f"{name}: {value}" for name, value in line.items()))
    if nodes > 1:
        dist.destroy_process_group()
