"""`dapt bench train`: tokens per second of dapt's training step compared with transformers' Trainer, on a GPU if there is one,
else on the CPU.

The Trainer uses DataCollatorForLanguageModeling with the same texts, model, number of steps and threads; it computes logits at
every position. The biomedical documents are longer than a window and cut into full windows on both sides, so that only the step
is compared. The financial texts fit into a window: the Trainer gets one per row, padded to the longest of its batch, and dapt
packs them. Each run is a separate process; its first steps, loading and compiling are not timed. All tokens except padding are
counted, on both sides including [CLS] and [SEP].
"""

import json
import os
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from dapt.bench.sides import CORPORA, SKIPPED, SKIPPED_ON_GPU, Kind, Task, ours, peer, prepare
from dapt.bench.turns import apart
from dapt.core.files import read_json
from dapt.core.paths import MODELS, PROCESSED
from dapt.launch.slots import cards
from dapt.telling.errors import UserError
from dapt.training.optimization.device import decide, this_device

TINY = 128  # width of the tiny base
DROPOUT = 0.1  # the Trainer's dropout, from BERT's configuration
SIZES = ((8, 128), (32, 128), (32, 512))  # windows per step and tokens per window, on a GPU
STEPS_ON_GPU = 60
KINDS = {
    "tiny": Kind(None, 32, 40, 1e-3, True),
    "minilm": Kind({"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}, 32, 12, 5e-4, True),
    "base": Kind({}, 8, 12, 1e-4, False),  # BertConfig's default shape; compiling it gains nothing
}


def measure(kinds: dict[str, Kind], rounds: int) -> Iterator[dict]:
    """The lines for each model and text, as soon as they are measured."""
    best = decide("auto", this_device())
    with TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder)
        for name, kind in kinds.items():
            for text in CORPORA:
                task = Task(kind, folder / text)
                jobs: dict[str, tuple] = {
                    "ours": (ours, task, best, kind.compiled),
                    "fp32": (peer, task, "fp32", None),
                    "best": (peer, task, best, None),
                }
                rows = [("fp32", "ours", "fp32"), ("best", "ours", "best")]
                if kind.compiled:
                    jobs["eager"] = (ours, task, best, False)
                    rows += [("fp32/eager", "eager", "fp32"), ("best/eager", "eager", "best")]
                if text == "biomed":
                    jobs["no-dropout"] = (peer, task, best, 0.0)
                    rows.append(("best/no-dropout", "ours", "no-dropout"))
                turns = [{job: apart(*call) for job, call in jobs.items()} for _ in range(rounds)]
                for row, mine, theirs in rows:
                    yield _line(
                        f"train/{name}/{text}/{row}",
                        *(_medians([turn[job] for turn in turns]) for job in (mine, theirs)),
                    ) | {"precision": best, "compiled": jobs[mine][-1]}


def measure_on_gpu(sizes: Iterable[tuple[int, int]], precisions: list[str], kind: Kind, rounds: int) -> Iterator[dict]:
    """The lines for each (windows per step, tokens per window) and precision: dapt with graphs and eager, the Trainer with its
    defaults and with its own torch_compile, all with the Trainer's dropout."""
    with TemporaryDirectory() as place:
        for batch, window in sizes:
            folder = Path(place) / str(window)
            prepare(folder, window)
            for precision in precisions:
                task = Task(replace(kind, batch=batch), folder / "biomed", window)
                jobs: dict[str, tuple] = {
                    "ours": (ours, task, precision, False, True, DROPOUT),
                    "eager": (ours, task, precision, False, False, DROPOUT),
                    "trainer": (peer, task, precision, DROPOUT),
                    "compiled": (peer, task, precision, DROPOUT, True),
                }
                turns = [{job: apart(*call) for job, call in jobs.items()} for _ in range(rounds)]
                median = {job: _medians([turn[job] for turn in turns]) for job in jobs}
                name = f"train/base/{batch}x{window}/{precision}"
                for row, mine, theirs in (
                    ("", "ours", "trainer"),
                    ("/eager", "eager", "trainer"),
                    ("/torch_compile", "ours", "compiled"),
                ):
                    line = _line(name + row, median[mine], median[theirs])
                    yield line | {"precision": precision, "compiled": False}


def _medians(results: list[dict]) -> dict:
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def _line(name: str, mine: dict, theirs: dict) -> dict:
    return {
        "name": name,
        "ours": round(mine["rate"], 1),
        "peer": round(theirs["rate"], 1),
        "ratio": round(mine["rate"] / theirs["rate"], 2),
        "unit": "tokens/s",
        "loss": round(mine["loss"], 4),
        "peer_loss": round(theirs["loss"], 4),
        "peak_mb": round(mine["peak_mb"]),
        "peer_peak_mb": round(theirs["peak_mb"]),
        "padding": round(mine["padding"], 4),
        "peer_padding": round(theirs["padding"], 4),
        "steps": int(mine["steps"]),
        "peer_steps": int(theirs["steps"]),
        "gemm_gflops": round(mine["gemm_gflops"]),
        "gemm_share": round(mine["gemm_share"], 3),
    }


def run(only: str | None, steps: int | None, rounds: int, as_json: bool) -> None:
    if only and only not in KINDS:
        raise UserError(f"--only {only} is not a model of this benchmark; choose one of: {', '.join(KINDS)}")
    if rounds < 1 or (steps is not None and steps < 2 * SKIPPED):
        raise UserError(f"--steps must be at least {2 * SKIPPED}, and --rounds at least 1")
    kinds = {name: replace(kind, steps=steps or kind.steps) for name, kind in KINDS.items() if only in (None, name)}
    on_gpu = torch.cuda.is_available()
    if on_gpu and only not in (None, "base"):
        raise UserError(f"--only {only} is measured on the CPU; set CUDA_VISIBLE_DEVICES= to hide the GPU")
    if on_gpu and steps is not None and steps < 2 * SKIPPED_ON_GPU:
        raise UserError(f"--steps must be at least {2 * SKIPPED_ON_GPU} on a GPU")
    needed = [
        MODELS / "base/config.json",
        *(PROCESSED / f"{corpus}.jsonl" for corpus in chain.from_iterable(CORPORA.values())),
    ]
    for path in needed:
        if not path.exists():
            raise UserError(f"{path} does not exist, but this benchmark needs it; run `dvc repro` first")
    if "tiny" in kinds and not on_gpu and read_json(needed[0])["hidden_size"] != TINY:
        raise UserError(
            "models/base is not the tiny base; set model.base of the profile to tiny and run `dvc repro`, "
            "or use --only minilm or --only base"
        )
    if on_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = (cards() or ["0"])[
            0
        ]  # the Trainer would divide a batch among all visible GPUs
        kind = replace(KINDS["base"], steps=steps or STEPS_ON_GPU)
        halves = [half for half in ("bf16", "fp16") if getattr(this_device(), half)]
    for line in measure_on_gpu(SIZES, halves, kind, rounds) if on_gpu else measure(kinds, rounds):
        print(
            json.dumps(line)
            if as_json
            else f"{line['name']}: {line['ours']:,.0f} tokens/s ({line['precision']}{', compiled' * line['compiled']}; "
            f"{line['gemm_share']:.0%} of the GEMM peak, {line['gemm_gflops']} GFLOP/s), the Trainer "
            f"{line['peer']:,.0f}, {line['ratio']:.1f} times as fast; held-out loss {line['loss']:.3f} and "
            f"{line['peer_loss']:.3f}, peak memory {line['peak_mb']} and {line['peer_peak_mb']} MB, padding "
            f"{line['padding']:.1%} and {line['peer_padding']:.1%}",
            flush=True,
        )
