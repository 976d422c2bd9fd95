"""Chooses device and precision of a training, and checks that this build of torch supports the GPU."""

import os
import re
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import AutocastKwargs

from dapt.model.memory import keep_freed_memory
from dapt.telling.errors import UserError


@dataclass(frozen=True)
class Device:
    kind: str  # cpu or cuda
    name: str
    bf16: bool  # has instructions for bf16
    fp16: bool
    capability: tuple[int, int] = (0, 0)  # compute capability of a GPU
    built_for: tuple[str, ...] = ()  # architectures that this torch has code for: sm_75, …, compute_90


def gpu(name: str, capability: tuple[int, int], built_for: tuple[str, ...]) -> Device:
    """A GPU of this compute capability; torch has code for `built_for`."""
    return Device("cuda", name, capability >= (8, 0), capability >= (5, 3), capability, built_for)


def this_device() -> Device:
    if torch.cuda.is_available():
        capability = torch.cuda.get_device_capability()
        return gpu(torch.cuda.get_device_name(), capability, tuple(torch.cuda.get_arch_list()))
    return Device(
        "cpu",
        "this processor",
        bf16=torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported(),
        fp16=False,
    )


def check_built_for(device: Device) -> None:
    """Refuse a GPU that this torch has no code for, before a kernel fails.

    Code for sm_XY runs on capability X.Z with Z >= Y; compute_XY is compiled at run time for anything newer (CUDA C++
    Programming Guide, binary and PTX compatibility).
    """
    if device.kind != "cuda":
        return
    built = [
        (kind, (int(number[:-1]), int(number[-1])))
        for kind, number in re.findall(r"\b(sm|compute)_(\d+)", " ".join(device.built_for))
    ]
    if any(
        least <= device.capability and (kind == "compute" or least[0] == device.capability[0]) for kind, least in built
    ):
        return
    oldest = ".".join(map(str, min(least for _, least in built)))
    raise UserError(
        f"{device.name} has compute capability {'.'.join(map(str, device.capability))}, but this torch "
        f"({torch.__version__}) has no code for it, only for {', '.join(device.built_for)} ({oldest} and up); ask the queue "
        "for another GPU (such as --constraint=2080ti), or install another build of torch (docs/install.md)"
    )


def check_enough(processes: int, cards: int) -> None:
    """Refuse more processes than visible GPUs on a machine: CUDA would only report an invalid device number."""
    if processes > cards > 0:
        raise UserError(
            f"{processes} processes were started on a machine with {cards} visible GPUs; start one per GPU "
            "(--num_processes; CUDA_VISIBLE_DEVICES determines which GPUs are visible)"
        )


def decide(asked: str, device: Device) -> str:
    """auto means bf16 if the device supports it, else fp16 on a GPU, else fp32; an unsupported precision is refused."""
    if asked == "auto":
        return "bf16" if device.bf16 else "fp16" if device.fp16 else "fp32"
    if asked != "fp32" and not getattr(device, asked):
        raise UserError(f"train.precision is {asked}, which {device.name} does not support; set it to auto or fp32")
    return asked


def accelerator_for(asked: str, threads: int) -> Accelerator:
    """An Accelerator in the precision for this device, with a fixed number of threads, which results depend on."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    check_enough(int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count())
    device = this_device()
    check_built_for(device)
    precision = decide(asked, device)
    return Accelerator(
        mixed_precision="no" if precision == "fp32" else precision,
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[AutocastKwargs(cache_enabled=device.kind == "cpu")],  # a CUDA graph can't hold cached casts
    )
