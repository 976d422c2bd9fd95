import math

import pytest
import torch
from accelerate import Accelerator
from transformers import BertConfig, BertForMaskedLM

from dapt.mlm.batches import TrainingBatches, valid_batches
from dapt.mlm.masked_lm import MaskedLM, restore, state
from dapt.mlm.masks import IGNORED
from dapt.mlm.windows import text_in_memory
from dapt.model.checkpoint import load
from dapt.telling.errors import UserError
from dapt.training import graphs
from dapt.training.loop import Asked, Run, Start, compile_static, fit, halved, mean_loss, real_tokens, shares
from dapt.training.optimization.divergence import Diverged
from dapt.training.optimization.optimizer import optimizer, optimizer_tensors
from dapt.training.optimization.schedule import Schedule
from small_models import with_scaler

SCHEDULE = Schedule(steps=12, lr=1e-3, warmup=3, weight_decay=0.01, clip=1.0)


@pytest.fixture()
def batch_of(tokens, special):
    return TrainingBatches(text_in_memory(tokens, 32, special), 8, 0.15, 0)


def run_with(**parts) -> Run:
    """A run of which some attributes and methods are these."""
    run = Run()
    vars(run).update(name="test", **parts)
    return run


def weights(masked_lm) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in state(masked_lm).items()}


def test_the_loop_is_plain_torch(model_folder, batch_of):
    """The same weights as a loop written out with torch alone."""
    ours = MaskedLM(load(model_folder)[0])
    course = fit(Accelerator(cpu=True), ours, batch_of, SCHEDULE, run_with())
    theirs = MaskedLM(load(model_folder)[0]).train()
    decayed = [value for value in theirs.parameters() if value.ndim > 1]
    plain = [value for value in theirs.parameters() if value.ndim < 2]
    optim = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}])
    losses = []
    for step in range(SCHEDULE.steps):
        for group in optim.param_groups:
            group["lr"] = SCHEDULE.rate(step)
        batch = batch_of(step)
        loss = theirs(*batch.tensors()).sum() / (batch.labels != IGNORED).sum()
        optim.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optim.step()
        losses.append(loss.item())
    assert course.train == pytest.approx(losses, rel=1e-5)
    for name, value in weights(ours).items():
        if not name.endswith("key.bias"):  # its gradient is 0 but for rounding, which Adam blows up
            assert torch.allclose(value, state(theirs)[name], atol=1e-5), name


def test_two_runs_are_bit_equal_and_so_is_one_stopped_and_resumed(model_folder, batch_of):
    def run(stop=None, start=None):
        masked_lm = MaskedLM(load(model_folder)[0], dropout=0.0)
        saved = {}
        if start:
            restore(masked_lm, start.tensors)

        def visit(step, optim, course, leaving):
            tensors = weights(masked_lm) | {name: value.clone() for name, value in optimizer_tensors(optim).items()}
            saved[step] = Start(tensors, course, step)
            return step == stop

        looks = run_with(pause=lambda step: step == 5, visit=visit)
        course = fit(Accelerator(cpu=True), masked_lm, batch_of, SCHEDULE, looks, start)
        return weights(masked_lm), course, saved

    whole, course, _ = run()
    again, _, _ = run()
    _, _, saved = run(stop=5)
    resumed, resumed_course, _ = run(start=saved[5])
    assert resumed_course.train == course.train and resumed_course.tokens == course.tokens
    for name, value in whole.items():
        assert torch.equal(value, again[name]) and torch.equal(value, resumed[name]), name


def test_only_what_requires_a_gradient_is_trained_and_norms_are_not_decayed(model_folder, batch_of):
    masked_lm = MaskedLM(load(model_folder)[0])
    before = weights(masked_lm)
    masked_lm.requires_grad_(False)
    head = masked_lm.head_parameters()
    for value in head.values():
        value.requires_grad_(True)
    groups = optimizer(masked_lm.named_parameters(), 0.01).param_groups
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]
    assert len(groups[0]["params"]) == 1 and len(groups[1]["params"]) == 4  # the transform's matrix; biases and norm
    fit(Accelerator(cpu=True), masked_lm, batch_of, SCHEDULE, run_with())
    for name, value in weights(masked_lm).items():
        assert torch.equal(value, before[name]) == (name.removeprefix("model.") not in head), name


def test_mean_loss_is_over_predicted_tokens(model_folder, tokens, special):
    masked_lm = MaskedLM(load(model_folder)[0])
    batches = valid_batches(text_in_memory(tokens, 32, special), 4, 10, 0.15)
    with torch.no_grad():
        losses = [masked_lm.eval()(*batch.tensors()) for batch in batches]
    labels = [batch.labels.flatten() for batch in batches]
    every = torch.cat([loss[torch.from_numpy(label) != IGNORED] for loss, label in zip(losses, labels)])
    assert mean_loss(Accelerator(cpu=True), masked_lm, batches) == pytest.approx(every.mean().item(), rel=1e-6)


def test_tokens_counted_are_those_of_the_text(tokens, special):
    text = text_in_memory(tokens, 32, special)
    batches = TrainingBatches(text, 1, 0.15, 0)
    epoch = sum(real_tokens(batches(step)) for step in range(len(text.windows)))
    assert epoch == len(tokens.ids)


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(model_folder, batch_of):
    masked_lm = MaskedLM(load(model_folder)[0])

    def broken(step):
        if step == 7:
            with torch.no_grad():
                masked_lm.model.cls.predictions.bias.fill_(math.nan)
        return batch_of(step)

    with pytest.raises(Diverged, match="not finite in step 8"):
        fit(Accelerator(cpu=True), masked_lm, broken, SCHEDULE, run_with())


def plain_fp16(folder, batch_of, scale: float) -> tuple[MaskedLM, list[bool]]:
    """Plain torch: an optimizer that is not fused, which the scaler does not call for a step that it leaves out."""
    masked_lm, scaler = MaskedLM(load(folder)[0]).train(), torch.amp.GradScaler("cpu", init_scale=scale)
    decayed, plain = ([value for value in masked_lm.parameters() if (value.ndim > 1) is big] for big in (True, False))
    optim = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], fused=False
    )
    calls: list[int] = []
    optim.register_step_post_hook(lambda *_: calls.append(1))
    taken = []
    for step in range(SCHEDULE.steps):
        for group in optim.param_groups:
            group["lr"] = SCHEDULE.rate(step)
        batch = batch_of(step)
        loss = masked_lm(*batch.tensors()).sum() / (batch.labels != IGNORED).sum()
        optim.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optim)
        torch.nn.utils.clip_grad_norm_(masked_lm.parameters(), 1.0)
        before = len(calls)
        scaler.step(optim)
        scaler.update()
        taken.append(len(calls) > before)
    return masked_lm, taken


def test_a_step_that_fp16s_scaler_leaves_out_is_counted_and_changes_nothing(model_folder, batch_of, monkeypatch):
    """A fused optimizer is called for it all the same; what is left out is what plain torch leaves out."""
    scale = 2.0**127
    theirs, taken = plain_fp16(model_folder, batch_of, scale)
    ours, skipped = MaskedLM(load(model_folder)[0]), taken.count(False)
    course = fit(with_scaler(monkeypatch, scale), ours, batch_of, SCHEDULE, run_with())
    assert 0 < skipped < SCHEDULE.steps / 2 and not taken[0] and course.skipped == skipped
    for name, value in weights(ours).items():
        if not name.endswith("key.bias"):
            assert torch.allclose(value, state(theirs)[name], atol=1e-5), name
    assert len(course.train) == SCHEDULE.steps and all(map(math.isfinite, course.train))


def test_a_training_that_fp16_cannot_hold_is_stopped_at_the_first_of_its_failed_steps(
    model_folder, batch_of, monkeypatch
):
    masked_lm = MaskedLM(load(model_folder)[0])

    def broken(step):
        if step == 3:
            with torch.no_grad():
                masked_lm.model.cls.predictions.bias.fill_(math.nan)
        return batch_of(step)

    with pytest.raises(Diverged, match="gradients of 3 steps in a row are not finite in fp16.* in step 4;"):
        fit(with_scaler(monkeypatch, 2.0), masked_lm, broken, SCHEDULE, run_with())


def test_a_step_without_a_loss_that_is_left_out_has_none_in_the_course(model_folder, batch_of, monkeypatch):
    """A window whose logits overflow once: the training continues afterwards."""
    masked_lm = MaskedLM(load(model_folder)[0])
    bias = masked_lm.model.cls.predictions.bias

    def once(step):
        with torch.no_grad():
            if step == 3:
                bias.copy_(torch.full_like(bias, math.nan))
            if step == 4:
                bias.zero_()
        return batch_of(step)

    course = fit(with_scaler(monkeypatch, 2.0**10), masked_lm, once, SCHEDULE, run_with())
    assert course.train[3] is None and course.skipped == 1
    assert all(math.isfinite(loss) for step, loss in enumerate(course.train) if step != 3)


def test_parts_of_a_batch_add_up_to_it(model_folder, batch_of):
    models, course = [MaskedLM(load(model_folder)[0]) for _ in range(2)], []
    for masked_lm, parts in zip(models, (1, 4)):
        course.append(fit(Accelerator(cpu=True), masked_lm, batch_of, SCHEDULE, run_with(parts=parts)))
    assert course[1].train == pytest.approx(course[0].train, rel=1e-5)
    for name, value in weights(models[0]).items():
        if not name.endswith(
            "key.bias"
        ):  # its gradient is 0 but for rounding, which Adam blows up, as in a few other places
            assert ((value - state(models[1])[name]).abs() > 1e-5).float().mean() < 1e-3, name


def test_all_shares_of_all_processes_are_the_batch(batch_of):
    batch = batch_of(0)
    for world, parts in ((1, 1), (2, 2), (4, 1), (1, 8)):
        pieces = [piece for rank in range(world) for piece in shares(batch, rank, world, parts)]
        assert len(pieces) == world * parts
        assert (torch.cat([torch.from_numpy(piece.ids) for piece in pieces]).numpy() == batch.ids).all()


def test_out_of_memory_halves_the_parts_and_keeps_the_batch(model_folder, batch_of, capsys):
    """As on a small GPU: a forward pass of more than two rows fails."""
    small, plain = MaskedLM(load(model_folder)[0]), MaskedLM(load(model_folder)[0])
    forward = small.forward

    def limited(ids, *rest):
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(ids, *rest)

    small.forward = limited
    course = fit(Accelerator(cpu=True), small, batch_of, SCHEDULE, run_with())
    reference = fit(Accelerator(cpu=True), plain, batch_of, SCHEDULE, run_with())
    assert course.train == pytest.approx(reference.train, rel=1e-5)
    assert capsys.readouterr().out == "".join(
        f"test: out of memory; from now on the batch is processed in {parts} parts\n" for parts in (2, 4)
    )


def test_out_of_memory_with_a_single_window_is_the_users_to_mend():
    for parts, share, world in ((8, 8, 1), (1, 8, 2)):
        with pytest.raises(UserError, match="out of memory with"):
            halved(parts, share, world, torch.OutOfMemoryError())
    assert halved(2, 8, 1, torch.OutOfMemoryError()) == 4


def test_a_run_that_is_asked_for_something_visits_at_once_and_one_that_is_to_leave_ends(model_folder, batch_of):
    visits, wishes = [], iter([Asked(), Asked(save=True), Asked(), Asked(leave=True)])

    def visit(step, optim, course, asked):
        visits.append((step, len(course.train), *asked))
        return asked.leave

    run = run_with(visit=visit, asked=lambda: next(wishes))
    course = fit(Accelerator(cpu=True), MaskedLM(load(model_folder)[0]), batch_of, SCHEDULE, run)
    assert visits == [(2, 2, False, True), (4, 4, True, False)] and len(course.train) == 4


def test_compiled_it_is_the_same_training_and_repeatable(batch_of):
    """With one layer, since each takes seconds to compile."""
    shape = BertConfig(vocab_size=128, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)

    def run(compiled):
        torch.manual_seed(0)
        masked_lm = MaskedLM(BertForMaskedLM(shape))
        course = fit(Accelerator(cpu=True), masked_lm, batch_of, SCHEDULE, run_with(compiled=compiled))
        return course.train, weights(masked_lm)

    try:
        (plain, _), (first, one), (second, other) = run(False), run(True), run(True)
    finally:
        torch.use_deterministic_algorithms(False)
    assert first == pytest.approx(plain, rel=1e-4) and first == second
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_without_a_compiler_compilation_is_refused(monkeypatch, model_folder):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="train.compile needs a C\\+\\+ compiler"):
        compile_static(MaskedLM(load(model_folder)[0]))


def test_a_graph_is_made_once_after_some_eager_steps_and_trains_as_they_do(model_folder, batch_of, monkeypatch):
    """In place of a StepGraph: the captured code, run again with each batch, as a graph runs it."""
    plain, graphed = (MaskedLM(load(model_folder)[0]) for _ in range(2))
    made = []

    class Replayed:
        def __init__(self, body, batch, predicted, device):
            made.append(body)

        def replay(self, batch, predicted):
            for value in graphed.parameters():
                value.grad = None
            return made[0](batch.tensors(), torch.tensor(float(predicted)))

    expected = fit(Accelerator(cpu=True), plain, batch_of, SCHEDULE, run_with())
    monkeypatch.setattr(graphs, "StepGraph", Replayed)
    course = fit(Accelerator(cpu=True), graphed, batch_of, SCHEDULE, run_with(graphs=True))
    assert len(made) == 1 and course.train == pytest.approx(expected.train, rel=1e-5)
    for name, value in weights(plain).items():
        if not name.endswith("key.bias"):  # its gradient is 0 but for rounding, which Adam blows up
            assert torch.allclose(value, state(graphed)[name], atol=1e-5), name


def test_a_graph_goes_where_its_memory_is_missing_for_a_look(model_folder, batch_of, monkeypatch, capsys):
    masked_lm, visits = MaskedLM(load(model_folder)[0]), []

    class Graph:
        def __init__(self, body, batch, predicted, device):
            pass

        def replay(self, batch, predicted):
            return torch.zeros(2)

    def visit(step, optim, course, asked):
        visits.append(step)
        if visits == [6]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(graphs, "StepGraph", Graph)
    run = run_with(graphs=True, pause=lambda step: step == 6, visit=visit)
    course = fit(Accelerator(cpu=True), masked_lm, batch_of, SCHEDULE, run)
    assert visits == [6, 6, SCHEDULE.steps] and course.train[3:6] == [0.0] * 3 and all(course.train[6:])
    assert "without CUDA graphs: there is not enough memory for both" in capsys.readouterr().out


def test_where_the_capture_fails_the_training_continues_without(model_folder, batch_of, monkeypatch, capsys):
    """As on this processor, where nothing can be captured."""
    models = [MaskedLM(load(model_folder)[0]) for _ in range(2)]
    expected = fit(Accelerator(cpu=True), models[0], batch_of, SCHEDULE, run_with())
    course = fit(Accelerator(cpu=True), models[1], batch_of, SCHEDULE, run_with(graphs=True))
    assert course.train == expected.train and all(
        map(torch.equal, weights(models[0]).values(), weights(models[1]).values())
    )
    assert "test: training without CUDA graphs: the capture failed" in capsys.readouterr().out
