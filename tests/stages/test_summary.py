import json
import math

import pytest

from dapt.stages.summary import pooled, run, summary

EVALUATED = {
    "biomed": {"loss": 4.0, "perplexity": 54.6, "masked_tokens": 300},
    "finance": {"loss": 6.0, "perplexity": 403.43, "masked_tokens": 100},
}
TRAINED = {"first_loss": 7.0, "last_loss": 4.0, "steps": 10, "tokens_seen": 99}


def test_sets_are_pooled_by_masked_token():
    loss, perplexity = pooled(EVALUATED, ["biomed", "finance"])
    assert loss == pytest.approx((4 * 300 + 6 * 100) / 400)
    assert perplexity == pytest.approx(math.exp(loss), rel=1e-4)


def test_perplexity_is_that_of_the_set_whose_loss_was_not_rounded():
    of = {"biomed": {"loss": 7.3051, "perplexity": 1487.84, "masked_tokens": 20844}}
    assert pooled(of, ["biomed"]) == (7.3051, pytest.approx(1487.84, rel=1e-12))


def test_keys_are_the_same_for_each_domain():
    one = summary("biomed", ["biomed"], EVALUATED, EVALUATED, TRAINED)
    both = summary("biomed_finance", ["biomed", "finance"], EVALUATED, EVALUATED, TRAINED)
    assert list(one) == list(both)
    assert both["perplexity"] == pytest.approx(90.02, abs=0.01) and both["gain"] == 0.0 and both["masked_tokens"] == 400


def test_the_chosen_domain_is_summed_up_on_its_own_text(workspace):
    before = (workspace / "metrics/summary.json").read_bytes()
    run()
    assert (workspace / "metrics/summary.json").read_bytes() == before
    found = json.loads(before)
    evaluated = json.loads((workspace / "metrics/eval/biomed.json").read_text())
    assert found["domain"] == "biomed" and found["loss"] == evaluated["biomed"]["loss"]
    assert found["perplexity"] == evaluated["biomed"]["perplexity"]
