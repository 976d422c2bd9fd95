"""The module that `dapt train X` starts under `accelerate launch`: models/base + data/tokens/X → models/X.

    accelerate launch -m dapt.stages.train biomed                     # one process
    accelerate launch --num_processes 4 -m dapt.stages.train biomed   # four GPUs, the same global batches

A killed run goes on from its newest checkpoint when it is started again (resume.py). Asked to leave by SIGTERM or
SIGUSR1, it writes one first and ends with code 75 (signals.py).
"""

import shutil
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from dapt.mlm import batches
from dapt.training import resume
from dapt.model.masked_lm import masked_lm
from dapt.core import config
from dapt.telling import signals
from dapt.core.config import Params
from dapt.telling.errors import UserError, guarded
from dapt.core.files import made_from, sha256, whole_file, whole_folder, write_json
from dapt.training.loop import Asked, Course, Diverged, accelerator_for, fit, mean_loss, optimizer_tensors
from dapt.model.masked_lm.masked_lm import MaskedLM
from dapt.core.paths import CURVES, METRICS, MODELS, TOKENS
from dapt.training.schedule import Schedule, length
from dapt.mlm.tokens import goes_on, load_tokenizer, read_tokens

DECIDING = ("attention", "batches", "fit", "model", "schedule", "train")  # changed, these begin a run anew
ENDS = 10  # steps whose mean is the first, and the last, training loss
EVERY = 10  # steps whose mean is one point of the curve


def mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def write_curve(path: Path, domain: str, course: Course) -> None:
    """The loss curve: training loss as the mean of EVERY steps, and the loss on valid."""
    with whole_file(path) as file:
        file.write("step,loss,model,set\n")
        for stop in range(EVERY, len(course.train) + 1, EVERY):
            file.write(f"{stop},{mean(course.train[stop - EVERY:stop])},{domain},train\n")
        for step, value in course.valid:
            file.write(f"{step},{value:.4f},{domain},valid\n")


def train(params: Params, domain: str) -> None:
    """Write models/DOMAIN, its loss curve and metrics/train/DOMAIN.json."""
    settings = params.active.train
    accelerator = accelerator_for(settings.precision, settings.threads)
    main, world = accelerator.is_main_process, accelerator.num_processes
    if settings.batch % (world * settings.parts):
        raise UserError(f"train.batch {settings.batch} cannot be shared by {world} processes in {settings.parts} parts; "
                        "make it a multiple")
    torch.use_deterministic_algorithms(settings.deterministic)
    base = MODELS / "base"
    tokenizer, special = load_tokenizer(base)
    continuing = goes_on(tokenizer) if settings.whole_words else None
    text, valid_text = (read_tokens(TOKENS / domain, name, special) for name in ("train", "valid"))
    loaded, audit = masked_lm.load(base, settings.seed)
    masked_lm.check_fits(loaded, special, settings.window)
    masked_lm = MaskedLM(loaded, settings.dropout)
    if settings.gradient_checkpointing:
        loaded.gradient_checkpointing_enable()
    precision = accelerator.mixed_precision.replace("no", "fp32")
    replay = 0.0 if domain == params.control else settings.replay
    replayed = [TOKENS / params.control / name for name in ("train.bin", "train.offsets.npy")] if replay else []
    inputs = made_from(TOKENS / domain, *replayed, base)
    decides = {"data": inputs, "torch": torch.__version__, "precision": precision}
    decides |= {f"train.{name}": value for name, value in settings.model_dump().items()}
    decides |= {f"{name}.py": sha256(Path(__file__).parent / f"{name}.py") for name in DECIDING}
    state = resume.folder_of(domain, decides)
    general = None
    with accelerator.main_process_first():
        windows = batches.windows_on_disk(state / "windows-train", text, settings.window)
        valid_windows = batches.windows_on_disk(state / "windows-valid", valid_text, settings.window)
        if replay:
            again = read_tokens(TOKENS / params.control, "train", special)
            general = again, batches.windows_on_disk(state / "windows-general", again, settings.window)
    steps = length(settings.steps, settings.epochs, settings.tokens, len(windows), settings.batch * (1 - replay),
                   int(text.offsets[-1]))
    valid = batches.valid_batches(valid_text, valid_windows, special, settings.batch, settings.valid_windows,
                                  settings.mask)
    if main:
        print(f"{domain}: {audit.parameters:,} parameters, {len(windows)} windows of {settings.window} tokens, "
              f"{steps} steps of {settings.batch}, {precision} on {world} × {accelerator.device.type}", flush=True)

    def batch_of(step: int) -> batches.Batch:
        return batches.training_batch(text, windows, special, settings.batch, settings.mask, settings.seed, step,
                                      continuing, general, replay)

    def look(step: int, course: Course) -> None:
        course.valid.append((step, mean_loss(accelerator, masked_lm, valid)))
        if main:
            print(f"{domain}: step {step}, loss on valid {course.valid[-1][1]:.4f}", flush=True)

    def pause(step: int) -> bool:
        return step % settings.valid_every == 0 or step % settings.save_every == 0 or step in settings.keep

    def visit(step: int, optim: torch.optim.Optimizer, course: Course, asked: Asked) -> bool:
        if step % settings.valid_every == 0 or step == steps:
            look(step, course)
        if main and step in settings.keep:
            with whole_folder(state / f"checkpoint-{step}") as folder:
                masked_lm.save(loaded, masked_lm.pooler(base, loaded.base_model_prefix), base, folder)
        if step < steps and (any(asked) or step % settings.save_every == 0):
            if main:
                resume.save(state, step, masked_lm.state(masked_lm) | optimizer_tensors(optim), vars(course))
            saved.append(time.monotonic())
        return asked.leave

    def told(error: Diverged) -> UserError:
        """The same, with the documents of the batch and the checkpoint before it."""
        own, _ = batches.places_of_step(error.step - 1, settings.batch, replay)
        rows = batches.windows_of_step(len(windows), own, settings.seed)
        starts = np.concatenate([windows.starts[windows.bounds[row]:windows.bounds[row + 1]] for row in rows])
        lines = np.unique(np.searchsorted(text.offsets, starts, "right")).tolist()
        last = resume.newest(state)
        return UserError(f"{error.what} in step {error.step}, on lines {', '.join(map(str, lines[:20]))} "
                         f"{'and others ' if len(lines) > 20 else ''}of data/split/{domain}/train.jsonl; the last good "
                         f"checkpoint is {last or 'the base'}; lower train.lr, or set train.precision to fp32")

    signals: list[int] = []
    saved = [time.monotonic()]

    def asked() -> Asked:
        return Asked(bool(signals), time.monotonic() - saved[-1] >= 60 * settings.save_minutes)

    with signals.on_signal(signals.append), resume.locked(state, decides) if main else nullcontext():
        begin = None
        if found := resume.latest(state):
            tensors, facts, step = found
            masked_lm.restore(masked_lm, tensors)
            begin = tensors, Course(**facts), step
            if main:
                print(f"resumed at step {step}", flush=True)
        elif main:
            for line in resume.passed_over(state, domain, decides):
                print(line, flush=True)
        masked_lm.to(accelerator.device)
        if not begin:
            begin = {}, Course(), 0
            look(0, begin[1])
        schedule = Schedule(steps, settings.lr, settings.warmup, settings.weight_decay, settings.clip, settings.schedule)
        try:
            course = fit(accelerator, masked_lm, batch_of, schedule, domain, pause, visit, begin, asked,
                         settings.parts, settings.compile)
        except Diverged as error:
            raise told(error) from error
        done = len(course.train)
        if done < steps:
            if main:
                print(f"{domain}: asked to leave at step {done} of {steps}; run again to go on from there", flush=True)
            accelerator.wait_for_everyone()  # when one process ends, its launcher ends the others: not while one saves
            raise SystemExit(signals.CODE)
        if not main:
            return
        with whole_folder(MODELS / domain) as folder:
            masked_lm.save(loaded.cpu(), masked_lm.pooler(base, loaded.base_model_prefix), base, folder)
            for step in settings.keep:
                shutil.copytree(state / f"checkpoint-{step}", folder / f"checkpoint-{step}")
        write_curve(CURVES / f"{domain}.csv", domain, course)
        write_json(METRICS / "train" / f"{domain}.json", {
            "domain": domain, "steps": steps, "precision": precision, "parameters": audit.parameters,
            "documents": len(text), "tokens": int(text.offsets[-1]), "tokens_seen": course.tokens,
            "tokens_predicted": course.predicted, "replay": replay,
            "epochs": round(steps * settings.batch * (1 - replay) / len(windows), 3),
            "first_loss": mean(course.train[:ENDS]), "last_loss": mean(course.train[-ENDS:]),
            "valid_loss_before": round(course.valid[0][1], 4), "valid_loss": round(course.valid[-1][1], 4),
            "model_bytes": (MODELS / domain / "masked_lm.safetensors").stat().st_size,
            "model_sha256": sha256(MODELS / domain / "masked_lm.safetensors"), "made_from": inputs})
        resume.forget(state)


def run(domain: str) -> None:
    train(config.load(), domain)


if __name__ == "__main__":
    raise SystemExit(guarded(f"dapt train {sys.argv[1]}", lambda: run(sys.argv[1])))
