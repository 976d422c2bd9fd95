"""`dapt train X`: models/base + data/tokens/X → models/X. The module that `accelerate launch` starts:

    accelerate launch -m dapt.stages.train biomed                     # one process
    accelerate launch --num_processes 4 -m dapt.stages.train biomed   # four GPUs, the same global batches

A killed run continues from its newest checkpoint when it is started again (training.resume). When SIGTERM, SIGUSR1 or ^C asks
it to end, it writes a checkpoint first and exits with code 75 (telling.signals).
"""

import shutil
import sys
from contextlib import nullcontext
from typing import Any

from accelerate import Accelerator

from dapt.core import config, local_settings
from dapt.core.config import Params
from dapt.core.files import sha256, whole_folder, write_json
from dapt.core.paths import CURVES, LOGS, METRICS, MODELS, events_file
from dapt.model.readme import name_in
from dapt.telling import signals, tracking
from dapt.telling.errors import guarded
from dapt.telling.events import Events
from dapt.telling.gpu_failures import gpu_failures
from dapt.training import readme, resume
from dapt.training.curve import mean, write_curve
from dapt.training.domain import BASE, DomainRun, Prepared, prepare
from dapt.training.loop import SMALLER, Course
from dapt.training.optimization.device import accelerator_for

OFTEN = 4  # epochs up to which repeated text is nearly as good as new text (Muennighoff et al. 2023)
ENDS = 10  # steps whose mean is the first or the last training loss


def train(params: Params, domain: str, accelerator: Accelerator, events: Events) -> None:
    """Write models/DOMAIN, its loss curve and metrics/train/DOMAIN.json."""
    main = accelerator.is_main_process
    ready = prepare(params, domain, accelerator)
    run = DomainRun(ready, accelerator, events)
    signals.listen(run.signals.append, signals.ASKS)
    with resume.locked(ready.state, ready.decides) if main else nullcontext():
        events.tell("started", **ready.facts())
        if main and ready.epochs > OFTEN:
            print(
                f"{domain}: each text is read {ready.epochs:.1f} times; repeating text more than {OFTEN} times helps little, so "
                "reduce train.steps, epochs or tokens",
                flush=True,
            )
        course = run.train()
        if len(course.train) < ready.steps:
            events.tell("left", step=len(course.train), steps=ready.steps)
            accelerator.wait_for_everyone()  # when one process ends, its launcher ends the others, which may still be saving
            signals.ignore(signals.ASKS)
            raise SystemExit(signals.CODE)
        if main:
            write_results(run, course)
            if course.skipped:
                print(f"{domain}: fp16's loss scaler skipped {course.skipped} of {ready.steps} steps", flush=True)
            events.tell(
                "done", model_sha256=sha256(MODELS / domain / "model.safetensors"), skipped_steps=course.skipped
            )
            signals.ignore(signals.ASKS)  # a signal while Python exits would turn success into failure
            resume.forget(ready.state)


def write_results(run: DomainRun, course: Course) -> None:
    ready, domain = run.ready, run.ready.domain
    found, weights = figures(ready, course), MODELS / domain / "model.safetensors"
    with whole_folder(MODELS / domain) as folder:
        ready.save(folder)
        for step in ready.settings.keep:
            shutil.copytree(ready.state / f"checkpoint-{step}", folder / f"checkpoint-{step}")
        made = readme.of_domain(ready.network, name_in(BASE), ready.settings, found)
        readme.write(folder, domain, domain, made)
    write_curve(CURVES / f"{domain}.csv", domain, course)
    found |= {"model_bytes": weights.stat().st_size, "model_sha256": sha256(weights), "made_from": ready.inputs}
    write_json(METRICS / "train" / f"{domain}.json", found)


def figures(ready: Prepared, course: Course) -> dict[str, Any]:
    """The figures of a finished training, except those of its model file."""
    return {
        "domain": ready.domain,
        "steps": ready.steps,
        "precision": ready.precision,
        "parameters": ready.parameters,
        "documents": len(ready.text.tokens),
        "tokens": int(ready.text.tokens.offsets[-1]),
        "tokens_seen": course.tokens,
        "tokens_predicted": course.predicted,
        "replay": ready.replay_share,
        "epochs": ready.epochs,
        "first_loss": mean(course.train[:ENDS]),
        "last_loss": mean(course.train[-ENDS:]),
        "valid_loss_before": round(course.valid[0][1], 4),
        "valid_loss": round(course.valid[-1][1], 4),
    }


@gpu_failures(SMALLER)
def run(domain: str) -> None:
    params = config.load()
    settings = params.active.train
    accelerator = accelerator_for(settings.precision, settings.threads)
    events = Events(events_file("train", domain) if accelerator.is_main_process else None, "train", domain)
    with events.failures():
        if track := local_settings.load().track:
            tracking.follow(events, track, domain, LOGS / "tracking", settings.model_dump())
        train(params, domain, accelerator, events)


if __name__ == "__main__":
    raise SystemExit(guarded(f"dapt train {sys.argv[1]}", lambda: run(sys.argv[1])))
