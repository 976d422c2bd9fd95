"""The audit of a checkpoint: heads that are random, missing, and better than token frequencies."""

import json
import math
import shutil
from collections import Counter

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from dapt.judging.probe import DRAWS, PROBE, masked, unigram_loss, word_tokens
from dapt.mlm.masks import IGNORED
from dapt.mlm.tokens import encode_tokens
from dapt.model.tokenizer import load_tokenizer
from dapt.telling.errors import UserError
from dapt.tools.audit import audit, run


@pytest.fixture()
def probe(model_folder):
    tokenizer, special = load_tokenizer(model_folder)
    return encode_tokens(tokenizer, special, (PROBE / "text.txt").read_text().splitlines()), special


def test_every_token_of_the_probe_is_predicted_once(probe):
    text, special = probe
    found = Counter(
        int(label)
        for draw in range(DRAWS)
        for batch in masked(text, special, draw)
        for label in batch.labels.flatten()
        if label != IGNORED
    )
    assert found == Counter(np.asarray(text.ids).tolist())
    assert len((PROBE / "text.txt").read_text().split()) > 1_800  # 2,082 tokens of BERT's vocabulary


def test_a_random_head_is_untrained(model_folder):
    found = audit(model_folder)
    assert found["head"] == "untrained" and found["loss"] > found["unigram_loss"] and found["pooler"] == "present"
    assert found["missing"] == [] and set(found["unexpected"]) <= {"bert.pooler.dense.bias", "bert.pooler.dense.weight"}
    assert found["parameters"] == sum(
        value.numel()
        for name, value in load_file(model_folder / "model.safetensors").items()
        if "pooler" not in name and name != "cls.predictions.decoder.bias"
    )


def test_a_classifiers_head_is_missing(model_folder, tmp_path):
    AutoModelForSequenceClassification.from_pretrained(model_folder).save_pretrained(tmp_path)
    shutil.copy(model_folder / "tokenizer.json", tmp_path)
    found = audit(tmp_path)
    assert found["head"] == "missing" and any(name.startswith("cls.predictions") for name in found["missing"])
    assert any(name.startswith("classifier") for name in found["unexpected"])


def test_a_head_that_knows_how_often_words_stand_in_the_probe_is_trained(model_folder, tmp_path, probe):
    """Logits that are the probe's own frequencies, whatever stands around: better than those of other text."""
    shutil.copytree(model_folder, tmp_path / "model")
    weights = load_file(tmp_path / "model/model.safetensors")
    counts = np.bincount(np.asarray(probe[0].ids), minlength=128) + 1.0
    for name in weights:
        if name.startswith("cls.predictions.transform"):
            weights[name] *= 0
    bias = next(name for name in weights if name in ("cls.predictions.bias", "cls.predictions.decoder.bias"))
    weights[bias].copy_(weights[bias].new_tensor(np.log(counts / counts.sum())))
    save_file(weights, tmp_path / "model/model.safetensors", metadata={"format": "pt"})
    found = audit(tmp_path / "model")
    own = -np.log(counts / counts.sum())[np.asarray(probe[0].ids)].mean()
    assert found["head"] == "trained" and found["loss"] == pytest.approx(own, abs=1e-3)


def test_token_frequencies_are_those_of_the_words(model_folder):
    tokenizer, special = load_tokenizer(model_folder)
    counts = word_tokens(tokenizer)
    expected = Counter()
    for line in (PROBE / "words.tsv").read_text().splitlines():
        word, count = line.split("\t")
        for token in tokenizer.encode(word, add_special_tokens=False).ids:
            expected[token] += int(count)
    assert {token: count for token, count in enumerate(counts.tolist()) if count} == expected
    labels = np.array([5, 9])
    smoothed = [(expected[token] + 1) / (sum(expected.values()) + special.vocabulary) for token in (5, 9)]
    assert unigram_loss(counts, labels) == pytest.approx(-sum(map(math.log, smoothed)) / 2)


def test_it_prints_a_line_or_json_and_refuses_what_is_no_model(model_folder, tmp_path, capsys):
    run(model_folder, as_json=True)
    assert json.loads(capsys.readouterr().out)["head"] == "untrained"
    run(model_folder, as_json=False)
    assert "head untrained" in capsys.readouterr().out
    with pytest.raises(UserError, match="has no tokenizer"):
        audit(tmp_path)
