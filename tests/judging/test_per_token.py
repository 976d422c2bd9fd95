"""The loss per masked token of any model on any text."""

import pytest

from dapt.judging import inputs, per_token
from dapt.telling.errors import UserError
from references import TEXTS, plain_loop


def test_one_model_on_any_text_gives_the_figures_of_evaluate(model_folder, judge):
    [result] = judge(per_token, model_folder)
    assert set(result) == {"loss", "perplexity", "accuracy", "accuracy_top5", "masked_tokens", "loss_ci95", "unknown"}
    for draws in (1, 3):
        [result] = judge(per_token, model_folder, draws=draws)
        sums = plain_loop(
            model_folder,
            [{"text": text, "group": f"g{number // 2}"} for number, text in enumerate(TEXTS)],
            inputs.settings(draws),
        ).values()
        loss, correct, top5, masked = map(sum, zip(*sums))
        assert result["masked_tokens"] == masked > 100 * draws
        assert result["loss"] == pytest.approx(loss / masked, abs=1e-4)
        assert (result["accuracy"], result["accuracy_top5"]) == pytest.approx(
            (correct / masked, top5 / masked), abs=1e-4
        )
        low, high = result["loss_ci95"]
        assert low < result["loss"] < high


def test_draws_that_cannot_be_are_refused(model_folder, text):
    with pytest.raises(UserError, match="--draws is 0, but must be at least 1"):
        per_token.run([model_folder], text, None, True, draws=0)
