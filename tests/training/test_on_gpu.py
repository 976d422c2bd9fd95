"""What a training does on a card: `make test-gpu`. torch, transformers, accelerate and small wheels are enough for it."""

import json

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import BertConfig, BertForMaskedLM

from dapt.mlm.batches import TrainingBatches, valid_batches
from dapt.mlm.masked_lm import MaskedLM, restore, state
from dapt.mlm.windows import text_in_memory
from dapt.model import activations
from dapt.tools.self_test import self_test
from dapt.training import graphs, resume
from dapt.training.loop import Course, Run, Start, fit, mean_loss
from dapt.training.optimization.device import accelerator_for
from dapt.training.optimization.divergence import Diverged
from dapt.training.optimization.optimizer import optimizer_tensors
from dapt.training.optimization.schedule import Schedule
from dapt.training.saving import Saver

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU, or this torch has no code for it"),
]
SCHEDULE = Schedule(steps=30, lr=1e-3, warmup=3, weight_decay=0.01, clip=1.0)
SHAPE = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 256}


@pytest.fixture(autouse=True)
def deterministic(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture()
def train(tokens, special):
    """A training of SCHEDULE, or a part of it; returns course, weights and what it saved at `stop`."""
    text = text_in_memory(tokens, 32, special)

    def run(precision: str, graphed: bool, dropout=0.0, schedule=SCHEDULE, stop=None, start=None, scale=None, parts=1):
        AcceleratorState._reset_state(True)
        accelerator = accelerator_for(precision, 1)
        if scale:
            accelerator.scaler = torch.amp.GradScaler("cuda", init_scale=scale)
        torch.manual_seed(0)
        masked_lm = MaskedLM(BertForMaskedLM(BertConfig(vocab_size=special.vocabulary, **SHAPE)), dropout).cuda()
        torch.manual_seed(1)
        looks, saved = valid_batches(text, 8, 16, 0.15), []

        def visit(step, optim, course, asked):
            course.valid.append((step, mean_loss(accelerator, masked_lm, looks)))
            if step == stop:
                tensors = {name: value.clone() for name, value in (state(masked_lm) | optimizer_tensors(optim)).items()}
                saved.append(Start(tensors, Course(**json.loads(json.dumps(vars(course)))), step))
            return step == stop

        job = Run()
        vars(job).update(name="card", graphs=graphed, parts=parts, pause=lambda step: step % 10 == 0, visit=visit)
        if start:
            restore(masked_lm, start.tensors)
        course = fit(accelerator, masked_lm, TrainingBatches(text, 8, 0.15, 0), schedule, job, start)
        return course, {name: value.clone() for name, value in state(masked_lm).items()}, saved

    return run


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_graphs_end_in_the_bits_of_eager_steps_and_so_does_one_stopped_and_resumed(train, precision):
    """With a look at valid every ten steps, which is no graph."""
    eager, graphed = train(precision, False), train(precision, True)
    assert equal(eager[1], graphed[1]) and eager[0].valid == graphed[0].valid and eager[0].train == graphed[0].train
    *_, [saved] = train(precision, True, stop=20)
    resumed = train(precision, True, start=saved)
    assert equal(resumed[1], eager[1]) and resumed[0].train == eager[0].train


@pytest.mark.parametrize("graphed", [False, True], ids=["eager", "graphs"])
def test_two_runs_with_dropout_end_in_the_same_bits(train, graphed):
    one, other = (train("bf16", graphed, dropout=0.1) for _ in range(2))
    assert equal(one[1], other[1]) and one[0].train[-1] != train("bf16", graphed)[0].train[-1]


def test_parts_of_a_batch_add_up_to_it_in_a_graph_too(train):
    whole, parts = train("fp32", True), train("fp32", True, parts=2)
    assert whole[0].train == pytest.approx(parts[0].train, abs=1e-4)


@pytest.mark.parametrize("graphed", [False, True], ids=["eager", "graphs"])
def test_steps_that_fp16s_scaler_leaves_out_are_counted(train, graphed):
    """As many as halvings of the scale, which nothing else lowers."""
    course, _, _ = train("fp16", graphed, scale=2.0**24)
    assert course.skipped > 0 and course.scaler["scale"] == 2.0 ** (24 - course.skipped)
    assert all(loss is not None for loss in course.train)


@pytest.mark.parametrize("graphed", [False, True], ids=["eager", "graphs"])
def test_a_training_that_fp16_cannot_hold_is_stopped(train, graphed):
    with pytest.raises(Diverged, match="not finite"):
        train("fp16", graphed, schedule=Schedule(steps=400, lr=1e4, warmup=0, weight_decay=0.0, clip=1e9))


def test_where_a_capture_fails_the_steps_stay_eager(train, monkeypatch, capsys):
    eager = train("fp16", False)

    class Failing(graphs.StepGraph):
        def __init__(self, body, batch, predicted, device):
            def fails(*given):
                body(*given)
                torch.cuda.synchronize()  # is not permitted while a graph is captured

            super().__init__(fails, batch, predicted, device)

    monkeypatch.setattr(graphs, "StepGraph", Failing)
    again = train("fp16", True)
    assert "the capture failed" in capsys.readouterr().out
    assert equal(eager[1], again[1]) and eager[0].train == again[0].train


def test_a_card_passes_the_self_test_of_doctor():
    halves = ["fp16"] + ["bf16"] * (torch.cuda.get_device_capability() >= (8, 0))
    text, problem = self_test(torch.device("cuda"), halves)
    assert problem is None and "a CUDA graph in fp16 0.00%" in text, text


@pytest.mark.parametrize("graphed", [False, True], ids=["eager", "graphs"])
def test_logits_in_parts_give_the_losses_of_logits_at_once(train, graphed, monkeypatch):
    whole, _, _ = train("bf16", graphed)
    monkeypatch.setattr(activations, "LOGITS", 10_000)
    monkeypatch.setattr(activations, "encoder_bytes", lambda *_: 0)
    parts, _, _ = train("bf16", graphed)
    assert parts.train == pytest.approx(whole.train, rel=1e-2)


def test_a_checkpoint_is_of_the_moment_at_which_it_was_asked_for(tmp_path):
    value = torch.ones(1_000_000, device="cuda")
    with Saver(tmp_path) as saver:
        saver.save(1, {"value": value}, {})
        value += 1
        assert saver.whole(wait=True) == 1
    assert torch.equal(resume.latest(tmp_path)[0]["value"], torch.ones(1_000_000))
