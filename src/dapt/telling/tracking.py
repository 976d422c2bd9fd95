"""An optional tracker (TensorBoard, Weights & Biases, MLflow) that hears the events of a training, by accelerate's own
classes for them. It is asked for in an untracked file (core.local_settings), and decides no byte.
"""

import sys
from pathlib import Path

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

from dapt.telling.errors import UserError
from dapt.telling.events import Events

PROJECT = "dapt"
SHOWN = ("loss", "tokens_per_second")  # figures of an event that become curves


class Tracking:
    """A listener of events: losses and speed of the steps, under train/ and valid/."""

    def __init__(self, tracker: GeneralTracker):
        self.tracker: GeneralTracker | None = tracker

    def __call__(self, record: dict) -> None:
        """A tracker that fails is left alone from then on: a training does not end for it."""
        if self.tracker is None:
            return
        try:
            self._pass_on(self.tracker, record)
        except Exception as error:  # of whatever client the tracker has
            print(
                f"the tracker failed and is told nothing more: {' '.join(str(error).split())}",
                file=sys.stderr,
                flush=True,
            )
            self.tracker = None

    @staticmethod
    def _pass_on(tracker: GeneralTracker, record: dict) -> None:
        kind = {"step": "train", "valid": "valid"}.get(record["event"])
        if kind:
            figures = {f"{kind}/{name}": record[name] for name in SHOWN if name in record}
            tracker.log(figures, step=record["step"])
        elif record["event"] in ("done", "left", "failed"):
            tracker.finish()


def follow(events: Events, track: str, run: str, folder: Path, settings: dict) -> None:
    """Have a tracker hear these events; `settings` are those of the run, `folder` is for trackers that write files."""
    if events.path is None:  # not the first process
        return
    named = {
        "tensorboard": {"run_name": run, "logging_dir": str(folder)},
        "wandb": {"run_name": PROJECT, "name": run},  # what accelerate calls a run is the project there
        "mlflow": {"experiment_name": PROJECT, "run_name": run},
    }
    try:
        tracker = LOGGER_TYPE_TO_CLASS[track](**named[track])
        tracker.start()
        tracker.store_init_configuration({name: str(value) for name, value in settings.items()})
    except ImportError as error:
        raise UserError(
            f"track is {track} in dapt.local.yaml, and {track} is not installed; run pip install {track}, "
            "or take the line out"
        ) from error
    events.listeners.append(Tracking(tracker))
