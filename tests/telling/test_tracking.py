"""The events of a training in a real TensorBoard file, read back by TensorBoard itself."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dapt.core import local_settings
from dapt.telling import tracking
from dapt.telling.errors import UserError
from dapt.telling.events import Events


def events(path) -> Events:
    return Events(path, "train", "biomed")


@pytest.fixture(autouse=True)
def accelerate_state():
    from accelerate import PartialState

    PartialState(cpu=True)


def test_losses_are_curves_in_tensorboard(tmp_path):
    told = events(tmp_path / "events.jsonl")
    tracking.follow(told, "tensorboard", "biomed", tmp_path / "tracking", {"lr": 1e-3, "keep": [1, 2]})
    told.tell(
        "started",
        parameters=1,
        windows=1,
        window=1,
        steps=2,
        epochs=1.0,
        batch=1,
        precision="fp32",
        processes=1,
        device="cpu",
    )
    for step, loss in ((0, 7.5), (5, 6.25), (10, 5.5)):
        told.tell("valid", step=step, loss=loss)
    told.tell("step", step=10, steps=10, loss=5.75, tokens_per_second=1234, seconds_left=0)
    told.tell("done", model_sha256="ab")
    read = EventAccumulator(str(tmp_path / "tracking/biomed"))
    read.Reload()
    assert [(point.step, point.value) for point in read.Scalars("valid/loss")] == [(0, 7.5), (5, 6.25), (10, 5.5)]
    assert [(point.step, point.value) for point in read.Scalars("train/loss")] == [(10, 5.75)]
    assert [point.value for point in read.Scalars("train/tokens_per_second")] == [1234]


def test_a_tracker_that_is_not_installed_is_refused_in_a_line(tmp_path):
    pytest.importorskip("tensorboard")
    with pytest.raises(
        UserError, match="track is mlflow in dapt.local.yaml, but mlflow is not installed; run pip install"
    ):
        tracking.follow(events(tmp_path / "events"), "mlflow", "biomed", tmp_path, {})


def test_a_tracker_that_fails_does_not_end_the_training(tmp_path, capsys):
    class Broken:
        def log(self, figures, step):
            raise ConnectionError("no network")

    told = events(tmp_path / "events.jsonl")
    told.listeners.append(tracking.Tracking(Broken()))
    told.tell("valid", step=0, loss=1.0)
    told.tell("valid", step=5, loss=1.0)
    assert capsys.readouterr().err == "the tracker failed and is switched off for this run: no network\n"


def test_the_local_settings_are_typed_and_need_not_be_there(tmp_path):
    path = tmp_path / "dapt.local.yaml"
    assert local_settings.load(path).track is None
    path.write_text("track: tensorboard\n")
    assert local_settings.load(path).track == "tensorboard"
    path.write_text("track: tensorbord\n")
    with pytest.raises(UserError, match="dapt.local.yaml: track: "):
        local_settings.load(path)
    path.write_text("trak: wandb\n")
    with pytest.raises(UserError, match="trak: unknown setting; did you mean track"):
        local_settings.load(path)
