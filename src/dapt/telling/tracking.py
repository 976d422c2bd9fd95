"""An optional tracker (TensorBoard, Weights & Biases, MLflow) that receives the events of a training, through accelerate's
classes. It is set in an untracked file (core.local_settings), and does not affect results.
"""

import sys
from pathlib import Path

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

from dapt.telling.errors import UserError
from dapt.telling.events import Events

PROJECT = "dapt"
SHOWN = ("loss", "tokens_per_second")  # values of an event that become curves


class Tracking:
    """An event listener that logs losses and speed under train/ and valid/."""

    def __init__(self, tracker: GeneralTracker):
        self.tracker: GeneralTracker | None = tracker

    def __call__(self, record: dict) -> None:
        """Pass an event on. A tracker that fails is not called again; the training continues."""
        if self.tracker is None:
            return
        try:
            self._pass_on(self.tracker, record)
        except Exception as error:  # depends on the tracker's client
            print(
                f"the tracker failed and is switched off for this run: {' '.join(str(error).split())}",
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
    """Attach a tracker to these events; `settings` are those of the run, `folder` is for trackers that write files."""
    if events.path is None:  # not the first process
        return
    named = {
        "tensorboard": {"run_name": run, "logging_dir": str(folder)},
        "wandb": {"run_name": PROJECT, "name": run},  # accelerate's run_name is the project here
        "mlflow": {"experiment_name": PROJECT, "run_name": run},
    }
    try:
        tracker = LOGGER_TYPE_TO_CLASS[track](**named[track])
        tracker.start()
        tracker.store_init_configuration({name: str(value) for name, value in settings.items()})
    except ImportError as error:
        raise UserError(
            f"track is {track} in dapt.local.yaml, but {track} is not installed; run pip install {track}, "
            "or remove the line"
        ) from error
    events.listeners.append(Tracking(tracker))
