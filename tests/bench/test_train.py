"""The lines of `dapt bench train` on a small random model, and the count of a step's work against torch's own."""

import shutil
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForMaskedLM

from dapt.bench import sides
from dapt.bench import train as bench
from dapt.core.files import write_lines
from dapt.mlm.batches import TrainingBatches
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.tokens import read_tokens
from dapt.mlm.windows import text_in_memory
from dapt.model.tokenizer import load_tokenizer
from dapt.telling.errors import UserError
from repositories import committed_files
from sentences import sentences

SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 128,
}
STEPS = 6


@pytest.fixture()
def repository(tmp_path, monkeypatch, model_folder) -> Path:
    """A folder with parameters, a base and cleaned texts: three groups of long documents, and 200 short texts."""
    committed_files(tmp_path, "params.yaml", "profiles")
    shutil.copytree(model_folder, tmp_path / "models/base")
    write_lines(
        tmp_path / "data/processed/biomed_mlm.jsonl",
        ({"group": f"g{number % 40}", "text": text} for number, text in enumerate(sentences(1000))),
    )
    for corpus, seed in (("finance_mlm1", 1), ("finance_mlm2", 2)):
        write_lines(
            tmp_path / f"data/processed/{corpus}.jsonl",
            ({"group": text, "text": text} for text in sentences(400, seed) + sentences(20, seed, longest=900)),
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def here(job, *given):
    """Like `apart`, but in this process; the accelerator's and torch's settings are global."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        return job(*given)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
        torch.use_deterministic_algorithms(False)


def check_ratio(line: dict) -> None:
    """It is that of the two rates, but for the rounding of all three: to 0.01, and to 0.1."""
    rounding = 0.005 + line["ratio"] * (0.05 / line["ours"] + 0.05 / line["peer"])
    assert line["ratio"] == pytest.approx(line["ours"] / line["peer"], rel=0, abs=1.01 * rounding)


def test_the_lines_say_what_was_measured(repository, monkeypatch):
    monkeypatch.setattr(bench, "apart", here)
    lines = {line["name"]: line for line in bench.measure({"small": sides.Kind(SHAPE, 4, STEPS, 1e-3, False)}, 1)}
    assert list(lines) == [
        *(f"train/small/biomed/{row}" for row in ("fp32", "best", "best/no-dropout")),
        *(f"train/small/finance/{row}" for row in ("fp32", "best")),
    ]
    for name, line in lines.items():
        check_ratio(line)
        assert line["unit"] == "tokens/s"
        assert line["steps"] == line["peer_steps"] == STEPS
        assert line["compiled"] is False
        assert 3 < line["loss"] < 8 and 3 < line["peer_loss"] < 8  # ln 128 is 4.85
        assert line["peak_mb"] > 10 and line["peer_peak_mb"] > 10
        assert 0 <= line["gemm_share"] < 1 and line["gemm_gflops"] > 0
        if "biomed" in name:
            assert line["padding"] == line["peer_padding"] == 0
        else:
            assert line["padding"] < 0.02 < 0.2 < line["peer_padding"]


@pytest.mark.slow  # the Trainer compiles
def test_the_lines_of_a_gpu_say_what_was_measured(repository, monkeypatch):
    """On the processor, where a graph can't be made and steps stay eager; losses are of the same work on both sides."""
    monkeypatch.setattr(bench, "apart", here)
    lines = list(bench.measure_on_gpu([(4, 64), (2, 32)], ["fp32"], sides.Kind(SHAPE, 4, STEPS, 1e-3, False), 1))
    assert [line["name"] for line in lines] == [
        f"train/base/{size}/fp32{row}" for size in ("4x64", "2x32") for row in ("", "/eager", "/torch_compile")
    ]
    for line in lines:
        check_ratio(line)
        assert line["steps"] == line["peer_steps"] == STEPS and line["padding"] == line["peer_padding"] == 0
        assert 3 < line["loss"] < 8 and 3 < line["peer_loss"] < 8 and line["precision"] == "fp32"


@pytest.mark.slow  # it compiles for half a minute; tests/training/test_loop.py holds a compiled training against a plain one
def test_compiled_is_the_same_training(repository):
    sides.prepare(repository / "tokens")
    task = sides.Task(sides.Kind(SHAPE, 4, STEPS, 1e-2, True), repository / "tokens/biomed")
    losses = [here(sides.ours, task, "fp32", compiled)["loss"] for compiled in (False, True)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_the_texts_are_full_windows_and_short_ones(repository):
    sides.prepare(repository / "tokens")
    _, special = load_tokenizer(Path("models/base"))
    sizes = {
        (text, side): torch.tensor(read_tokens(repository / "tokens" / text, side, special).offsets).diff()
        for text in sides.CORPORA
        for side in ("train", "heldout")
    }
    assert all(set(sizes["biomed", side].tolist()) == {126} for side in ("train", "heldout"))
    assert all(1 <= of.min() and of.max() <= 126 for (text, _), of in sizes.items() if text == "finance")


def test_documents_are_cut_without_a_rest():
    whole = list(range(126 * 2 + 5))
    assert list(sides.full_windows([whole, [1] * 125, [2] * 126])) == [whole[:126], whole[126:252], [2] * 126]
    assert list(sides.of_a_window([[], [1] * 126, [2] * 127])) == [[1] * 126]


def test_a_rate_is_the_median_over_the_timed_steps():
    """Steps of 1 s and 100 tokens, behind a slow start; the loader has read a batch ahead."""
    ends = [50, 90, 99, 100, 101, 102, 104]
    figures = sides._figures([(100, 200)] * 8, ends, on_gpu=False)
    assert figures == {"rate": 100, "seconds": 1, "padding": 0.5}


def test_on_a_gpu_it_is_the_mean_of_the_steps_behind_the_tenth():
    """The clock runs ahead of the card, and is waited for behind steps 10 and 14: 2 s for 400 tokens."""
    ends = [*range(9), 20, 20, 20, 20, 22]
    assert sides._figures([(100, 200)] * 15, ends, on_gpu=True) == {"rate": 200, "seconds": 0.5, "padding": 0.5}


def test_the_work_of_a_step_is_what_torch_counts(tokens, special):
    shape = BertConfig(
        hidden_size=96, num_hidden_layers=3, num_attention_heads=4, intermediate_size=200, vocab_size=128
    )
    batch = TrainingBatches(text_in_memory(tokens, 64, special), 4, 0.15, 0)(0)
    masked_lm = MaskedLM(BertForMaskedLM(shape))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        masked_lm(*batch.tensors()).sum().backward()
    assert sides.step_flops(shape, 4, 64, batch.picks.size) == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_a_users_mistake_is_told(repository):
    with pytest.raises(UserError, match="--only big .* tiny, minilm, base"):
        bench.run("big", None, 1, True)
    for steps, rounds in ((2, 1), (None, 0)):
        with pytest.raises(UserError, match="--steps .* --rounds"):
            bench.run(None, steps, rounds, True)
    with pytest.raises(UserError, match="models/base is not the tiny base"):
        bench.run(None, None, 1, True)
    (repository / "data/processed/finance_mlm2.jsonl").unlink()
    with pytest.raises(UserError, match="finance_mlm2.jsonl does not exist.*run `dvc repro` first"):
        bench.run("base", None, 1, True)
