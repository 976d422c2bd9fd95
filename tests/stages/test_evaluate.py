"""`dapt evaluate`: the figures of a model on every held-out set, against a plain loop."""

import json

import pytest

from dapt.core import config
from dapt.core.files import read_lines, sha256
from dapt.stages import evaluate
from references import plain_loop


def test_the_figures_of_each_held_out_set_are_a_plain_loop_s(workspace):
    before = (workspace / "metrics/eval/biomed.json").read_bytes()
    evaluate.run("biomed")
    assert (workspace / "metrics/eval/biomed.json").read_bytes() == before
    found, params = json.loads(before), config.load()
    lines = list(read_lines(workspace / "data/eval/biomed.jsonl"))
    for held_out in params.heldout:
        rows = list(read_lines(workspace / f"data/split/{held_out}/heldout.jsonl"))
        reference = plain_loop(workspace / "models/biomed", rows, params.active.evaluate)
        loss, correct, top5, masked = map(sum, zip(*reference.values()))
        assert found[held_out]["masked_tokens"] == masked
        assert found[held_out]["loss"] == pytest.approx(loss / masked, abs=1e-4)
        assert found[held_out]["accuracy"] == pytest.approx(correct / masked, abs=1e-4)
        assert found[held_out]["accuracy_top5"] == pytest.approx(top5 / masked, abs=1e-4)
        groups = {row["group"]: (row["correct"], row["top5"], row["masked"]) for row in lines if row["set"] == held_out}
        assert groups == {group: tuple(sums[1:]) for group, sums in reference.items()}
    assert found["made_from"] == [
        {"path": path, "sha256": sha256(workspace / path)}
        for path in ("models/biomed/model.safetensors", "models/biomed/tokenizer.json", "data/split")
    ]
