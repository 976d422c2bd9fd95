"""Which precision a training runs in: a pure decision from the device's facts."""

from dataclasses import dataclass

import torch

from dapt.errors import UserError


@dataclass(frozen=True)
class Device:
    kind: str  # cpu or cuda
    name: str
    bf16: bool  # has instructions for it
    fp16: bool


def this_device() -> Device:
    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability()
        return Device("cuda", torch.cuda.get_device_name(), bf16=major >= 8, fp16=(major, minor) >= (5, 3))
    return Device("cpu", "this processor", bf16=torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported(),
                  fp16=False)


def decide(asked: str, device: Device) -> str:
    """auto is bf16 where the device has it, else fp16 on a GPU, else fp32; one that it lacks is refused."""
    if asked == "auto":
        return "bf16" if device.bf16 else "fp16" if device.fp16 else "fp32"
    if asked != "fp32" and not getattr(device, asked):
        raise UserError(f"train.precision is {asked}, which {device.name} does not have; set it to auto or fp32")
    return asked
