from pathlib import Path

import numpy as np
import pytest

from dapt import config
from dapt.compare import check_tokenizers, choose, compare, losses_by_group, table
from dapt.errors import UserError
from dapt.files import write_lines

PARAMS = config.parse((Path(__file__).parents[1] / "params.yaml").read_text())
BETTER = {"base": 0.0, "biomed": -1.0, "finance": -0.5, "biomed_finance": -1.5, "general": -0.2}


@pytest.fixture()
def judged(tmp_path):
    """Losses of five models, each better than the base by a known amount and some noise."""
    rng = np.random.default_rng(0)
    masked = rng.integers(5, 50, 300)
    common = rng.normal(6, 1, 300)
    for model, gain in BETTER.items():
        write_lines(tmp_path / f"{model}.jsonl", (
            {"set": held_out, "group": f"g:{number}", "loss": float((common[number] + gain + rng.normal(0, 0.1)) * masked[number]),
             "masked": int(masked[number]), "correct": 0} for held_out in PARAMS.heldout for number in range(300)))
    return tmp_path


def evaluated(losses) -> dict:
    return {name: {held_out: {"loss": float(losses[held_out][0][number].sum() / losses[held_out][1].sum()),
                              "loss_ci95": [0.0, 9.0], "perplexity": 1.0, "accuracy": 0.5} for held_out in PARAMS.heldout}
            for number, name in enumerate(PARAMS.models)}


def test_differences_are_paired_and_negative_where_better(judged):
    losses = losses_by_group(PARAMS.models, judged)
    found = compare(PARAMS, losses, evaluated(losses))
    for model, gain in BETTER.items():
        for held_out in PARAMS.heldout:
            cell = found["matrix"][model][held_out]
            assert ("vs_base" in cell, "vs_control" in cell) == (model != "base", model != "general")
            if model == "base":
                continue
            low, high = cell["vs_base"]["ci95"]
            assert low < gain < high and low < cell["vs_base"]["diff"] < high
            assert high - low < 0.1  # the common part, which spreads ten times as much, cancels
    assert found["choice"]["model"] == "biomed_finance" and found["choice"]["beyond_noise"]


def test_the_choice_follows_its_rule_and_says_when_it_is_noise():
    rng = np.random.default_rng(1)
    samples = {"a": np.stack([rng.normal(3.0, 0.2, 500), rng.normal(3.01, 0.2, 500)]),
               "b": np.stack([rng.normal(5.0, 0.01, 500), rng.normal(4.0, 0.01, 500)])}
    means = {"a": [3.0, 3.01], "b": [5.0, 4.0]}
    settings = PARAMS.active.compare.model_copy(update={"rule": "target", "target": "a"})
    on_a = choose(settings, ["x", "y"], samples, means)
    assert on_a["model"] == "x" and not on_a["beyond_noise"] and "within noise" in on_a["why"]
    mean = choose(settings.model_copy(update={"rule": "mean"}), ["x", "y"], samples, means)
    assert mean["model"] == "y" and mean["beyond_noise"]


def test_models_judged_on_other_masks_are_not_compared(judged):
    lines = (judged / "finance.jsonl").read_text().splitlines()
    (judged / "finance.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UserError, match="same masks"):
        losses_by_group(PARAMS.models, judged)


def test_models_with_other_tokenizers_are_not_compared():
    def made_from(tokenizer):
        return {"made_from": ["00  models/x/model.safetensors", f"{tokenizer}  models/x/tokenizer.json", "11  data/split"]}

    check_tokenizers({"base": made_from("aa"), "biomed": made_from("aa")})
    with pytest.raises(UserError, match="base and finance have different tokenizers"):
        check_tokenizers({"base": made_from("aa"), "biomed": made_from("aa"), "finance": made_from("bb")})


def test_the_table_has_a_row_a_model(judged):
    losses = losses_by_group(PARAMS.models, judged)
    lines = table(compare(PARAMS, losses, evaluated(losses))).splitlines()
    assert lines[0] == "| model | biomed | finance | general |" and len(lines) == 2 + len(PARAMS.models)
    assert {line.count("|") for line in lines} == {5}
