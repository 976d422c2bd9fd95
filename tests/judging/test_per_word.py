"""The loss per word, against a plain loop with the offsets of transformers."""

import json
import math
import re

import numpy as np
import pytest

from dapt.core.files import write_lines
from dapt.judging import inputs, per_word
from dapt.judging.masked_loss import key
from references import TEXTS, log_probabilities, plain


def test_words_are_the_same_for_both_tokenizers_and_their_loss_a_plain_loop_s(model_folder, byte_level, judge):
    """The words that fit and the pieces of each are found here by transformers' own offsets, token by token."""
    results = judge(per_word, model_folder, byte_level)
    kinds, most = [plain(folder) for folder in (model_folder, byte_level)], inputs.settings().window - 2
    expected, count, cut = np.zeros(2), 0, 0
    for text in TEXTS:
        parts = [tokenizer(text, add_special_tokens=False, return_offsets_mapping=True) for tokenizer, _ in kinds]
        found, end = [], 0
        for word in text.split():
            begin = text.index(word, end)
            end = begin + len(word)
            found.append((begin, end))
        fits = [all(end <= part["offset_mapping"][:most][-1][1] for part in parts) for _, end in found]
        found = [span for span, fit in zip(found, fits) if fit]
        cut += not all(fits)
        chosen = np.random.Generator(np.random.Philox(key=[1, key({"text": text})])).random(len(found)) < 0.15
        spans = {span for span, taken in zip(found, chosen) if taken}
        asked = []
        for tokenizer, _ in kinds:
            ids = tokenizer(text[: found[-1][1]], add_special_tokens=False, return_offsets_mapping=True)
            asked.append(
                {
                    span: [
                        place
                        for place, (begin, end) in enumerate(ids["offset_mapping"])
                        if text[begin:end].strip() and begin < span[1] and end > span[0]
                    ]
                    for span in spans
                }
            )
            asked[-1]["ids"] = ids["input_ids"]
        spans = {
            span
            for span in spans
            if all(
                part["ids"][place] != tokenizer.unk_token_id
                for part, (tokenizer, _) in zip(asked, kinds)
                for place in part[span]
            )
        }
        count += len(spans)
        for number, (part, (tokenizer, network)) in enumerate(zip(asked, kinds)):
            places = [place for span in spans for place in part[span]]
            shown = list(part["ids"])
            for place in places:
                shown[place] = tokenizer.mask_token_id
            truth = log_probabilities(network, shown)
            expected[number] -= sum(truth[place, part["ids"][place]].item() for place in places)
    assert cut >= 2 and count > 50
    for result, loss in zip(results, expected):
        assert result["words"] == count
        assert result["word_loss"] == pytest.approx(loss / count, abs=1e-4)
        assert result["word_perplexity"] == pytest.approx(math.exp(loss / count), rel=1e-3)
    assert results[1]["vs_first"]["diff"] == pytest.approx((expected[1] - expected[0]) / count, abs=2e-4)


def test_a_word_is_masked_by_its_place_and_its_document_alone():
    how = inputs.settings()
    row = {"text": "some text"}
    assert np.array_equal(per_word.asked(row, 400, how)[:50], per_word.asked(row, 50, how))
    assert per_word.asked(row, 4000, how).mean() == pytest.approx(how.mask, abs=0.03)
    for other in (
        per_word.asked({"text": "other"}, 400, how),
        per_word.asked(row, 400, how.model_copy(update={"seed": 2})),
    ):
        assert not np.array_equal(per_word.asked(row, 400, how), other)


def test_a_word_that_a_tokenizer_does_not_know_is_asked_of_none(model_folder, byte_level, tmp_path, capsys):
    write_lines(tmp_path / "text.jsonl", [{"text": " ".join(["fever", "漢字"] * 40)}])
    per_word.run([model_folder, byte_level], tmp_path / "text.jsonl", None, True, unknown="allow")
    printed = capsys.readouterr()
    results = [json.loads(line) for line in printed.out.splitlines()]
    drawn, unknown = map(
        int, re.search(r"(\d+) words masked .*; (\d+) of the masked ones are unknown", printed.err).groups()
    )
    assert unknown > 0 and results[0]["words"] == results[1]["words"] > 0
    assert results[0]["words"] + unknown == drawn
