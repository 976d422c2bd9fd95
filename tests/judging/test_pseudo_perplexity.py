"""Pseudo-likelihood, against a plain loop over every token."""

import json
import math

import pytest

from dapt.core.files import write_lines
from dapt.judging import pseudo_perplexity
from references import TEXTS, log_probabilities, plain


def test_a_text_without_a_token_to_predict_changes_nothing_and_one_text_has_no_interval(model_folder, tmp_path, capsys):
    found = []
    for texts in (["", TEXTS[0]], [TEXTS[0]], ["", *TEXTS[:2]], TEXTS[:2]):
        write_lines(tmp_path / "text.jsonl", [{"text": text} for text in texts])
        pseudo_perplexity.run([model_folder], tmp_path / "text.jsonl", None, True)
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1] and found[2] == found[3]
    assert found[0]["loss_ci95"] is None and found[2]["loss_ci95"][0] < found[2]["loss"] < found[2]["loss_ci95"][1]


def test_pseudo_likelihood_is_a_plain_loop_s(model_folder, judge):
    [result] = judge(pseudo_perplexity, model_folder, most=8)
    tokenizer, network = plain(model_folder)
    alone = within = count = 0
    for text in TEXTS[:8]:
        encoding = tokenizer(text, add_special_tokens=False)
        ids, of = encoding["input_ids"], encoding.word_ids()
        for place, token in enumerate(ids):
            if token == tokenizer.unk_token_id:
                continue
            one = [*ids]
            one[place] = tokenizer.mask_token_id
            rest = [
                tokenizer.mask_token_id if other >= place and of[other] == of[place] else ids[other]
                for other in range(len(ids))
            ]
            alone -= log_probabilities(network, one)[place, token].item()
            within -= log_probabilities(network, rest)[place, token].item()
            count += 1
    assert result["tokens"] == count and abs(alone - within) > 0.1
    for found, loss in ((result, alone / count), (result["within_word"], within / count)):
        assert found["loss"] == pytest.approx(loss, abs=1e-4)
        assert found["pseudo_perplexity"] == pytest.approx(math.exp(loss), rel=1e-3)
        assert found["loss_ci95"][0] < loss < found["loss_ci95"][1]


def test_the_cost_of_pseudo_likelihood_is_said_beforehand_and_long_texts_are_cut(model_folder, tmp_path, capsys):
    write_lines(tmp_path / "text.jsonl", [{"text": "rate " * 150}, {"text": "fever"}])
    pseudo_perplexity.run([model_folder], tmp_path / "text.jsonl", None, True)
    printed = capsys.readouterr()
    assert "2 texts, 151 tokens: 151 forward passes" in printed.err.splitlines()[0]
    assert json.loads(printed.out)["tokens"] == 151
