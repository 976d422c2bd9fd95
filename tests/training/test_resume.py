import json
import subprocess
import sys

import pytest
import torch

from dapt.telling.errors import UserError
from dapt.training import resume


def numbers(value: float) -> dict[str, torch.Tensor]:
    return {"a": torch.full((3,), value), "optimizer.0.step": torch.tensor(value)}


def test_the_newest_two_are_kept_and_the_newest_is_read(tmp_path):
    for step in (5, 10, 15):
        resume.save(tmp_path, step, numbers(step), {"train": [step / 3]})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-15"]
    tensors, facts, step = resume.latest(tmp_path)
    assert step == 15 and facts == {"train": [5.0]} and torch.equal(tensors["a"], torch.full((3,), 15.0))


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "state.safetensors").write_bytes(b"short"),
        lambda folder: (folder / "state.json").write_text("{"),
        lambda folder: (folder / "state.json").unlink(),
        lambda folder: (folder / "state.json").write_text(json.dumps({"step": 10})),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, capsys, harm):
    resume.save(tmp_path, 5, numbers(5), {})
    resume.save(tmp_path, 10, numbers(10), {})
    harm(tmp_path / "step-10")
    assert resume.latest(tmp_path)[2] == 5
    assert "step-10 is damaged" in capsys.readouterr().out


def test_a_flipped_byte_is_noticed(tmp_path):
    resume.save(tmp_path, 5, numbers(5), {})
    path = tmp_path / "step-5" / "state.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert resume.latest(tmp_path) is None


def test_what_was_being_written_is_no_checkpoint(tmp_path):
    (tmp_path / ".step-9.123.tmp").mkdir()
    assert resume.latest(tmp_path) is None


def test_another_process_is_refused_until_the_first_is_gone(tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from dapt.training import resume\n"
            f"with resume.locked(Path({str(tmp_path)!r}), {{}}): print('held', flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another process"):
        with resume.locked(tmp_path, {}):
            pass
    holder.kill()  # no chance to clean up
    holder.wait()
    with resume.locked(tmp_path, {}):
        pass


def test_changed_inputs_are_another_run_and_the_old_one_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("DAPT_STATE", str(tmp_path))
    old, new = {"train.lr": 1e-3, "data": ["a  x"]}, {"train.lr": 2e-3, "data": ["a  x"]}
    assert resume.folder_of("biomed", old) == resume.folder_of("biomed", dict(reversed(old.items())))
    before, now = (resume.folder_of("biomed", decides) for decides in (old, new))
    assert before != now and before.parent == tmp_path
    with resume.locked(before, old):
        resume.save(before, 5, numbers(5), {})
        assert not list(resume.passed_over(now, "biomed", new))  # it is under way
    assert list(resume.passed_over(now, "biomed", new)) == [
        f"not resumed: step-5 in {before}, because of a difference in train.lr; delete it if you no longer need it"
    ]
    assert not list(resume.passed_over(before, "biomed", old))
    assert not list(resume.passed_over(resume.folder_of("finance", new), "finance", new))
