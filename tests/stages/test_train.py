"""`dapt train` as a process, on a small repository made of the fixtures: killed, stopped and started again.

DAPT_KILLS sets how often the run is killed (3 times without it).
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from accelerate import Accelerator
from huggingface_hub import ModelCard

from dapt.core.files import sha256
from dapt.launch import local
from dapt.mlm.batches import valid_batches
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.tokens import read_tokens, write_tokens
from dapt.mlm.windows import text_in_memory
from dapt.model.checkpoint import load
from dapt.telling import durations, events
from dapt.training.loop import mean_loss
from examples import examples, printed
from repositories import ROOT, change, ground_in
from trainings import Forked, by_command, environment, several, wait_for_checkpoint

STEPS = 150  # a few milliseconds each: enough that a run is still under way when it is killed


@pytest.fixture(scope="session")
def ground(tmp_path_factory, model_folder, tokens, special) -> Path:
    """models/base and data/tokens/biomed, ready to train."""
    return ground_in(
        tmp_path_factory.mktemp("ground"),
        model_folder,
        tokens,
        special,
        {"train.steps": STEPS, "train.valid_every": 50, "train.save_every": 3, "train.keep": [10, 40]},
    )


def copy(ground: Path, folder: Path) -> Path:
    shutil.copytree(ground, folder)
    return folder


@pytest.fixture(scope="session")
def uninterrupted(ground, tmp_path_factory) -> Path:
    folder = copy(ground, tmp_path_factory.mktemp("whole") / "run")
    process = by_command(folder)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    return folder


def test_a_run_writes_its_model_kept_checkpoints_curve_and_figures(uninterrupted):
    figures = json.loads((uninterrupted / "metrics/train/biomed.json").read_text())
    assert figures["steps"] == STEPS and figures["model_sha256"] == sha256(
        uninterrupted / "models/biomed/model.safetensors"
    )
    assert figures["last_loss"] < figures["first_loss"] and figures["valid_loss"] < figures["valid_loss_before"]
    weights = [
        sha256(uninterrupted / f"models/biomed/{place}model.safetensors")
        for place in ("checkpoint-10/", "checkpoint-40/", "")
    ]
    assert len(set(weights)) == 3
    lines = (uninterrupted / "data/curves/biomed.csv").read_text().splitlines()
    assert lines[0] == "step,loss,model,set"
    assert [line.split(",")[0] for line in lines if line.endswith("valid")] == ["0", "50", "100", "150"]
    assert sum(line.endswith("train") for line in lines) == STEPS // 10
    assert not any((uninterrupted / "state").iterdir())


def test_the_readme_tells_what_the_model_is_and_its_example_runs(uninterrupted, monkeypatch):
    found = ModelCard.load(uninterrupted / "models/biomed/README.md")
    figures = json.loads((uninterrupted / "metrics/train/biomed.json").read_text())
    assert found.data.to_dict() == {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "tags": ["domain-adaptive-pretraining", "masked-lm", "biomed"],
        "model_name": "biomed",
    }
    for told in (
        f"type bert with {figures['parameters']:,} parameters: base, pre-trained further on text of biomed",
        f"{figures['documents']} documents, {figures['tokens']:,} tokens",
        f"{figures['valid_loss_before']:.3f} before the training, {figures['valid_loss']:.3f} after it",
        f"Trained for {STEPS} steps",
        "batch 8, window 32,",
    ):
        assert told in found.text, told
    [(code, _)] = examples(found.text)
    monkeypatch.chdir(uninterrupted)
    assert len(printed(code).splitlines()) == 3


def test_killed_and_started_again_it_ends_with_the_same_bits(ground, uninterrupted, tmp_path):
    folder, chance = copy(ground, tmp_path / "run"), random.Random(2)
    for step in sorted(chance.sample(range(3, 100, 3), int(os.environ.get("DAPT_KILLS", "3")))):
        training = Forked(folder)
        wait_for_checkpoint(folder, step)
        time.sleep(chance.random() / 20)  # a step, a look at valid, or a checkpoint half written
        os.kill(training.pid, signal.SIGKILL)
        assert training.end()[0] == -signal.SIGKILL
    code, output = Forked(folder).end()
    assert code == 0 and "resumed at step" in output, output
    for name in (
        "models/biomed/model.safetensors",
        "models/biomed/README.md",
        "models/biomed/checkpoint-10/model.safetensors",
        "metrics/train/biomed.json",
        "data/curves/biomed.csv",
    ):
        assert (folder / name).read_bytes() == (uninterrupted / name).read_bytes(), name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_asked_to_leave_it_writes_a_checkpoint_and_goes_on_from_there(ground, uninterrupted, tmp_path, number):
    folder = copy(ground, tmp_path / "run")
    process = by_command(folder)
    wait_for_checkpoint(folder, 3)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # to all of its processes, as a terminal does
    else:
        process.send_signal(number)  # to `dapt train` alone, which passes it on
    output = process.communicate()[0]
    assert process.returncode == 75 and "Traceback" not in output, output
    left = int(re.search(r"biomed: stopped as requested, saved at step (\d+) of 150", output)[1])
    code, output = Forked(folder).end()
    assert code == 0 and f"resumed at step {left}" in output, output
    weights = "models/biomed/model.safetensors"
    assert (folder / weights).read_bytes() == (uninterrupted / weights).read_bytes()
    told = events.read(folder / "logs/train-biomed.jsonl")
    starts = [number for number, event in enumerate(told) if event["event"] == "started"]
    assert len(starts) == 2 and told[starts[1] - 1]["event"] == "left" and told[starts[1] - 1]["step"] == left
    assert (told[-1]["event"], told[-1]["model_sha256"]) == ("done", sha256(folder / weights))
    first, second = told[starts[1] - 1]["time"] - told[0]["time"], told[-1]["time"] - told[starts[1]]["time"]
    assert durations.seconds(told, sha256(folder / weights)) == pytest.approx(first + second)
    assert first > 0 and second > 0


def test_interrupted_before_it_has_begun_it_says_so_in_a_line(ground, tmp_path):
    process = by_command(copy(ground, tmp_path / "run"))
    while not psutil.Process(process.pid).children():  # it imports torch for some seconds then
        time.sleep(0.01)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    said = "biomed: stopped before the training had started; run the same command again\n"
    assert (process.communicate()[0], process.returncode) == (said, 75)


def test_changed_settings_begin_anew_and_say_so(ground, tmp_path):
    folder = copy(ground, tmp_path / "run")
    training = Forked(folder)
    wait_for_checkpoint(folder, 3)
    os.kill(training.pid, signal.SIGTERM)
    left = int(re.search(r"stopped as requested, saved at step (\d+)", training.end()[1])[1])
    change(folder, {"train.lr": 2e-3, "train.steps": 20, "train.keep": []})
    code, output = Forked(folder).end()
    assert code == 0 and "resumed" not in output.replace("not resumed", ""), output
    assert re.search(
        rf"not resumed: step-{left} in \S+, because of a difference in train.keep, train.lr, train.steps", output
    ), output
    assert f"step-{left}" in {path.name for path in (folder / "state").glob("*/step-*")}  # it is left alone


def test_a_checkpoint_is_written_behind_so_many_minutes(ground, uninterrupted, tmp_path):
    folder = copy(ground, tmp_path / "run")
    change(folder, {"train.save_every": 100_000, "train.save_minutes": 1e-4})
    training = Forked(folder)
    wait_for_checkpoint(folder, 1)
    os.kill(training.pid, signal.SIGKILL)
    training.end()
    code, output = Forked(folder).end()
    assert code == 0 and "resumed at step" in output, output
    weights = "models/biomed/model.safetensors"
    assert (folder / weights).read_bytes() == (uninterrupted / weights).read_bytes()


def test_replayed_general_text_is_forgotten_less(ground, special, tmp_path):
    """Of two kinds of text that have nothing in common, the one that is replayed is predicted better afterwards."""
    folder = copy(ground, tmp_path / "run")
    shutil.copytree(folder / "data/tokens/biomed", folder / "data/tokens/general")
    own = [np.full(60, 60 + word % 40) for word in range(100)]
    write_tokens(folder / "data/tokens/biomed", "train", own, special)
    write_tokens(folder / "data/tokens/biomed", "valid", own[:4], special)
    general = read_tokens(folder / "data/tokens/general", "valid", special)
    looks = valid_batches(text_in_memory(general, 32, special), 8, 32, 0.15)
    losses = {}
    for replay in (0.0, 0.5):
        change(folder, {"train.replay": replay, "train.lr": 1e-2})
        code, output = Forked(folder).end()
        assert code == 0, output
        assert json.loads((folder / "metrics/train/biomed.json").read_text())["replay"] == replay
        losses[replay] = mean_loss(Accelerator(cpu=True), MaskedLM(load(folder / "models/biomed")[0]), looks)
    assert losses[0.5] < losses[0.0] - 0.5, losses


def test_several_processes_see_the_same_batches(ground, uninterrupted, tmp_path):
    """Two processes, killed and gone on with as four, then as one: losses agree to rounding."""
    folder = copy(ground, tmp_path / "run")
    place = local.Place(processes=2)
    launched = subprocess.Popen(
        [sys.executable, "-m", "accelerate.commands.launch", *local.arguments("biomed", 1, place)],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | environment(folder) | {"PYTHONPATH": str(ROOT / "src")},
        start_new_session=True,
    )
    wait_for_checkpoint(folder, 3)
    for one in [*psutil.Process(launched.pid).children(recursive=True), launched]:  # each in a session of its own
        with suppress(psutil.NoSuchProcess):  # one that has lost the others may have ended by itself
            one.kill()
    output = launched.communicate()[0]
    assert launched.returncode and "fp32 on 2 × cpu" in output, output
    four = several(folder, 4)
    wait_for_checkpoint(folder, 20)
    for training in four:
        with suppress(ProcessLookupError):
            os.kill(training.pid, signal.SIGKILL)
    outputs = [training.end()[1] for training in four]
    assert "fp32 on 4 × cpu" in outputs[0] and "resumed at step" in outputs[0], outputs
    code, output = Forked(folder).end()
    assert code == 0 and "fp32 on 1 × cpu" in output and "resumed at step" in output, output
    ours, theirs = ((path / "data/curves/biomed.csv").read_text().splitlines()[1:] for path in (folder, uninterrupted))
    for one, other in zip(ours[:6], theirs[:6], strict=True):  # 60 steps; rounding grows from step to step
        assert float(one.split(",")[1]) == pytest.approx(float(other.split(",")[1]), abs=2e-3), (one, other)


def test_activations_that_are_computed_again_give_the_same_model(ground, uninterrupted, tmp_path):
    folder = copy(ground, tmp_path / "run")
    change(folder, {"train.gradient_checkpointing": True})
    code, output = Forked(folder).end()
    assert code == 0, output
    weights = "models/biomed/model.safetensors"
    assert (folder / weights).read_bytes() == (uninterrupted / weights).read_bytes()


def test_a_run_that_diverges_names_the_step_the_documents_and_the_checkpoint(ground, tmp_path):
    folder = copy(ground, tmp_path / "run")
    change(folder, {"train.lr": 1e30, "train.clip": 1e30})
    code, output = Forked(folder).end()
    assert code == 2 and "Traceback" not in output, output
    found = re.search(
        r"the loss is not finite in step (\d+), whose text is lines ([\d, ]+)(and more )?of data/split/biomed/train.jsonl; "
        r"the last good checkpoint is (the base|step-\d+)",
        output,
    )
    assert found, output
    assert all(1 <= int(line) <= 100 for line in found[2].split(","))


def test_an_error_of_cuda_names_the_steps_and_the_checkpoint_that_is_safe(ground, uninterrupted, tmp_path):
    folder = copy(ground, tmp_path / "run")
    code, output = Forked(folder, fails_in=26).end()
    assert code == 2 and "Traceback" not in output, output
    assert (
        "dapt train biomed: CUDA error: an illegal memory access was encountered: the error came after step 24, the last one "
        "whose loss was read; the last good checkpoint is step-24; run again" in output
    ), output
    code, output = Forked(folder).end()
    assert code == 0 and "resumed at step 24" in output, output
    weights = "models/biomed/model.safetensors"
    assert (folder / weights).read_bytes() == (uninterrupted / weights).read_bytes()


def test_a_node_without_a_network_trains(ground, tmp_path):
    apart = ["unshare", "--net"]
    if subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("no process without a network can be started here")
    folder = copy(ground, tmp_path / "run")
    change(folder, {"train.steps": 5, "train.keep": []})
    words = [*apart, sys.executable, "-m", "dapt.stages.train", "biomed"]
    variables = os.environ | environment(folder) | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(words, cwd=folder, env=variables, text=True, capture_output=True)
    assert done.returncode == 0 and (folder / "models/biomed/model.safetensors").exists(), done.stderr


def test_no_steps_give_the_base(ground, tmp_path):
    folder = copy(ground, tmp_path / "run")
    change(folder, {"train.steps": 0, "train.keep": []})
    code, output = Forked(folder).end()
    assert code == 0, output
    from safetensors.torch import load_file

    base, model = (load_file(folder / f"models/{name}/model.safetensors") for name in ("base", "biomed"))
    assert base.keys() == model.keys() and all((value == model[name]).all() for name, value in base.items())


def test_what_cannot_be_trained_is_refused_in_one_line_and_code_2(ground, tmp_path):
    folder = copy(ground, tmp_path / "run")
    change(folder, {"train.window": 161})
    code, output = Forked(folder).end()
    assert code == 2 and "dapt train biomed: windows of 161 tokens" in output and "Traceback" not in output
