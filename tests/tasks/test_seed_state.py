"""A fine-tuning that is stopped, and goes on."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from dapt.core.config import Finetune, Lora, Task
from dapt.tasks import finetuning, scoring, seed_state
from dapt.tasks.finetuning import FineTuning, Tuner
from dapt.tasks.seed_state import Seeds
from toys import topics

TASK = Task(corpus="x", fields=["text"], kind="classification", length=32, epochs=3, lr=3e-3)
SETTINGS = Finetune(
    seeds=[0, 1, 2], batch=16, threads=1, warmup=0.1, weight_decay=0.01, clip=1.0, dropout=0.1, valid=40, patience=3
)
ROWS = [topics(count, seed) for seed, count in enumerate((120, 40, 20))]
SIDES = scoring.Sides(ROWS[0], *ROWS)


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def saves_each_epoch_and_trains_one_seed_after_the_other(monkeypatch):
    torch.set_num_threads(SETTINGS.threads)
    monkeypatch.setattr(seed_state, "SAVE_AFTER", 0.0)
    monkeypatch.setattr(finetuning, "side_by_side", lambda work, seeds, processes: [work(seed) for seed in seeds])


def fine_tuned(model_folder: Path, folder: Path, lora: Lora | None = None) -> tuple[list, bytes, list[int]]:
    """Scores and courses, the model, and the epochs that were told to be saved."""
    told: list[int] = []
    settings = SETTINGS.model_copy(update={"lora": lora})
    states = Seeds(folder / "state", lambda event, step: told.append(step))
    job = FineTuning("toy", model_folder, TASK, settings, Accelerator(cpu=True), states)
    scores, courses = job.all_seeds(SIDES, folder / "out")
    return [*(array.tobytes() for array in scores), courses], (folder / "out/model.safetensors").read_bytes(), told


@pytest.mark.parametrize("lora", [None, Lora(rank=2, alpha=4)])
@pytest.mark.parametrize("stop", [1, 2, 3, 4, 7, 9])
def test_stopped_in_any_epoch_it_ends_in_the_bits_of_one_that_was_not(
    model_folder, tmp_path, monkeypatch, capsys, stop, lora
):
    """Dropout is drawn, so the state of chance goes on as well. What is done is not done again."""
    whole = fine_tuned(model_folder, tmp_path / "whole", lora)
    assert whole[2] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    ran, of_tuner = [], Tuner.epoch

    def epoch(self, *given):
        if len(ran) == stop:
            raise Stopped
        ran.append(stop)
        return of_tuner(self, *given)

    if stop < 9:
        monkeypatch.setattr(Tuner, "epoch", epoch)
        with pytest.raises(Stopped):
            fine_tuned(model_folder, tmp_path / "cut", lora)
        assert len(ran) == stop
        monkeypatch.setattr(Tuner, "epoch", of_tuner)
    else:
        fine_tuned(model_folder, tmp_path / "cut", lora)
    capsys.readouterr()
    again = fine_tuned(model_folder, tmp_path / "cut", lora)
    said = capsys.readouterr().out
    assert again[:2] == whole[:2]
    assert said.count(", epoch ") == 9 - stop and again[2] == list(range(stop + 1, 10))
    assert said.count("already finished") == stop // 3 and said.count("resumed after epoch") == (stop % 3 > 0)


def test_an_epoch_that_takes_seconds_is_not_saved(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(seed_state, "SAVE_AFTER", 60.0)
    assert fine_tuned(model_folder, tmp_path)[2] == [3, 6, 9]
    sizes = {path.name: (path / "step-3/state.safetensors").stat().st_size for path in (tmp_path / "state").iterdir()}
    assert sizes["seed-1"] == sizes["seed-2"] < 5_000 < sizes["seed-0"]  # of the first seed alone the weights are kept


def test_a_damaged_state_is_passed_over(model_folder, tmp_path, capsys):
    whole = fine_tuned(model_folder, tmp_path / "whole")
    fine_tuned(model_folder, tmp_path / "cut")
    (tmp_path / "cut/state/seed-1/step-3/state.safetensors").write_bytes(b"damaged")
    capsys.readouterr()
    assert fine_tuned(model_folder, tmp_path / "cut")[:2] == whole[:2]
    said = capsys.readouterr().out
    assert "checkpoint step-3 is damaged and was skipped" in said and said.count("toy, seed 1, epoch") == 3
