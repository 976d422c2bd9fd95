import math
import random

import numpy as np
import pytest
import torch

from dapt.core.config import Evaluate
from dapt.core.rows import text_id
from dapt.judging import masked_loss
from dapt.mlm.tokens import encode_tokens
from references import plain_loop
from sentences import sentences

SETTINGS = Evaluate(mask=0.15, draws=2, window=32, batch=8, threads=1, seed=1)


def rows_of(texts: list[str]) -> list[dict]:
    return [{"id": text_id(text), "group": f"g:{number // 2}", "text": text} for number, text in enumerate(texts)]


@torch.no_grad()
def test_agrees_with_a_plain_transformers_loop(model_folder):
    rows = rows_of(sentences(30) + sentences(6, seed=2, longest=150))
    masked_lm, tokenizer, special = masked_loss.loaded(model_folder, SETTINGS)
    tokens = encode_tokens(tokenizer, special, [row["text"] for row in rows])
    groups = masked_loss.by_group(masked_lm, tokens, rows, special, SETTINGS)
    reference = plain_loop(model_folder, rows, SETTINGS)
    assert list(groups) == list(reference)
    for name, (loss, correct, top5, masked) in reference.items():
        assert groups[name].loss == pytest.approx(loss, abs=1e-4, rel=1e-5)
        assert (groups[name].correct, groups[name].top5, groups[name].masked) == (correct, top5, masked)
    result = masked_loss.figures(groups, SETTINGS.seed)
    _, correct, top5, masked = map(sum, zip(*reference.values()))
    assert (result["accuracy"], result["accuracy_top5"]) == (round(correct / masked, 4), round(top5 / masked, 4))
    assert result["loss"] == pytest.approx(sum(sums[0] for sums in reference.values()) / masked, abs=1e-4)
    assert result["perplexity"] == pytest.approx(math.exp(result["loss"]), rel=1e-3)
    assert result["masked_tokens"] == masked
    assert result["loss_ci95"][0] < result["loss"] < result["loss_ci95"][1]


@torch.no_grad()
def test_order_and_company_of_documents_change_nothing(model_folder):
    rows = rows_of(sentences(40))
    masked_lm, tokenizer, special = masked_loss.loaded(model_folder, SETTINGS)

    def losses(chosen):
        tokens = encode_tokens(tokenizer, special, [row["text"] for row in chosen])
        return {
            name: group.loss
            for name, group in masked_loss.by_group(masked_lm, tokens, chosen, special, SETTINGS).items()
        }

    shuffled = random.Random(1).sample(rows, len(rows))
    assert losses(shuffled) == pytest.approx(losses(rows), abs=1e-4)
    whole = losses(rows)
    assert losses(rows[:10]) == pytest.approx({name: whole[name] for name in losses(rows[:10])}, abs=1e-4)


def test_several_draws_are_the_mean_of_each_by_masked_token(model_folder):
    rows = rows_of(sentences(40))
    masked_lm, tokenizer, special = masked_loss.loaded(model_folder, SETTINGS)
    tokens = encode_tokens(tokenizer, special, [row["text"] for row in rows])

    def of(**settings):
        return masked_loss.figures(
            masked_loss.by_group(masked_lm, tokens, rows, special, SETTINGS.model_copy(update=settings)), 1
        )

    both, *each = of(draws=2), of(draws=1), of(draws=1, seed=SETTINGS.seed + 1)
    assert each[0]["loss"] != each[1]["loss"]
    masked = [one["masked_tokens"] for one in each]
    assert both["masked_tokens"] == sum(masked)
    for name in ("loss", "accuracy", "accuracy_top5"):
        assert both[name] == pytest.approx(np.average([one[name] for one in each], weights=masked), abs=1e-4)
