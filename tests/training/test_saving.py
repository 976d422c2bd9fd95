"""A checkpoint is of the moment at which it was asked for, although it is written later."""

import threading

import pytest
import torch

from dapt.telling.errors import UserError
from dapt.training import resume
from dapt.training.saving import Saver


@pytest.fixture()
def gate(monkeypatch):
    """Writing begins when it is set."""
    opened, save = threading.Event(), resume.save

    def slow(*given):
        assert opened.wait(60)
        save(*given)

    monkeypatch.setattr(resume, "save", slow)
    yield opened
    opened.set()


def test_a_training_goes_on_while_its_checkpoint_is_written(tmp_path, gate):
    tensors, facts = {"weights": torch.ones(5)}, {"train": [0.5]}
    with Saver(tmp_path) as saver:
        saver.save(3, tensors, facts)
        tensors["weights"] += 1
        facts["train"].append(0.25)
        assert saver.whole() is None and resume.newest(tmp_path) is None
        gate.set()
        assert saver.whole(wait=True) == 3 and saver.whole(wait=True) is None
    found, told, step = resume.latest(tmp_path)
    assert torch.equal(found["weights"], torch.ones(5)) and told == {"train": [0.5]} and step == 3


def test_the_next_one_takes_the_same_memory(tmp_path):
    tensors = {"weights": torch.ones(5)}
    with Saver(tmp_path) as saver:
        saver.save(1, tensors, {})
        place = saver.copies["weights"].data_ptr()
        assert saver.whole(wait=True) == 1
        tensors["weights"] += 1
        saver.save(2, tensors, {})
        assert saver.copies["weights"].data_ptr() == place != tensors["weights"].data_ptr()
    assert torch.equal(resume.latest(tmp_path)[0]["weights"], torch.full((5,), 2.0))


def test_the_block_ends_when_the_last_one_is_whole_also_where_the_training_failed(tmp_path, gate):
    with pytest.raises(UserError, match="the training"), Saver(tmp_path) as saver:
        saver.save(7, {"weights": torch.ones(5)}, {})
        threading.Timer(0.2, gate.set).start()
        raise UserError("the training")
    assert resume.newest(tmp_path) == "step-7"


def test_one_that_cannot_be_written_is_an_error_of_the_training(tmp_path):
    (tmp_path / "state").write_text("a file where a folder must be")
    with Saver(tmp_path / "state") as saver:
        saver.save(1, {"weights": torch.ones(5)}, {})
        with pytest.raises((UserError, OSError)):
            saver.whole(wait=True)
        assert saver.whole(wait=True) is None
