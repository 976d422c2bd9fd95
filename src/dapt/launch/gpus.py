"""GPUs by the feature names that clusters give to their nodes."""

import re
from dataclasses import dataclass

from dapt.training.optimization.device import Device, gpu


@dataclass(frozen=True)
class Card:
    name: str
    capability: tuple[int, int]
    memory: int  # GiB
    tflops: float  # peak of dense fp16 or bf16 products with fp32 accumulation, of the slowest variant

    def device(self, built_for: tuple[str, ...]) -> Device:
        """The device as a training would see it on the node, with a torch that has code for `built_for`."""
        return gpu(self.name, self.capability, built_for)


# Capabilities: NVIDIA's page "CUDA GPU Compute Capability". Memory and peaks: NVIDIA's data sheets and, for GeForce and
# Titan, its architecture white papers. Pascal has no tensor cores; its peak is that of the ordinary cores.
CARDS = {
    "1080": Card("GTX 1080", (6, 1), 8, 8.9),
    "1080ti": Card("GTX 1080 Ti", (6, 1), 11, 11.3),
    "p100": Card("P100", (6, 0), 12, 18.7),
    "v100": Card("V100", (7, 0), 16, 112),
    "2080ti": Card("RTX 2080 Ti", (7, 5), 11, 53.8),
    "titanrtx": Card("Titan RTX", (7, 5), 24, 130.5),
    "t4": Card("T4", (7, 5), 16, 65),
    "a100": Card("A100", (8, 0), 40, 312),
    "a30": Card("A30", (8, 0), 24, 165),
    "a10": Card("A10", (8, 6), 24, 125),
    "a40": Card("A40", (8, 6), 48, 149.7),
    "a6000": Card("RTX A6000", (8, 6), 48, 154.8),
    "3090": Card("RTX 3090", (8, 6), 24, 71),
    "4090": Card("RTX 4090", (8, 9), 24, 165.2),
    "l4": Card("L4", (8, 9), 24, 121),
    "l40": Card("L40", (8, 9), 48, 181),
    "l40s": Card("L40S", (8, 9), 48, 362),
    "h100": Card("H100", (9, 0), 80, 756),
    "h200": Card("H200", (9, 0), 141, 836),
    "5090": Card("RTX 5090", (12, 0), 32, 209.5),
}
MAKERS = re.compile(r"^(nvidia|geforce|tesla|gtx|rtx(?=a?\d))*")  # as in nvidia_geforce_rtx_2080_ti


def alternatives(constraint: str | None) -> list[str]:
    """The alternatives that a constraint allows: "a100|v100" and "[a100|v100]" have two.

    >>> alternatives("[a100|v100]&ib"), alternatives(None)
    (['a100&ib', 'v100&ib'], [])
    """
    if not constraint:
        return []
    if found := re.search(r"[\[(]([^\])]*)[\])]", constraint):
        before, after = constraint[: found.start()], constraint[found.end() :]
        return [one for part in found[1].split("|") for one in alternatives(before + part + after)]
    return constraint.split("|")


def card_of(features: str) -> Card | None:
    """The GPU named by one of several features that are requested together.

    >>> card_of("ib&RTX_2080_Ti").name, card_of("highmem")
    ('RTX 2080 Ti', None)
    """
    names = (MAKERS.sub("", re.sub(r"[^a-z0-9]", "", feature.split("*")[0].lower())) for feature in features.split("&"))
    return next((CARDS[name] for name in names if name in CARDS), None)
