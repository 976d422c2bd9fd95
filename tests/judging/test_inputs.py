"""What all ways of judging share: the models and texts that they take."""

import pytest
from transformers import AutoModel

from dapt.core.files import write_lines
from dapt.judging import per_token, per_word, pseudo_perplexity
from dapt.telling.errors import UserError


@pytest.mark.parametrize(
    "way, figures",
    [(per_token, lambda one: one), (per_word, lambda one: one), (pseudo_perplexity, lambda one: one["within_word"])],
)
def test_a_model_does_not_differ_from_itself_and_differs_from_another_by_their_losses(
    way, figures, model_folder, other_weights, judge
):
    first, same, other = judge(way, model_folder, model_folder, other_weights, most=12)
    assert figures(same)["vs_first"] == {"diff": 0.0, "ci95": [0.0, 0.0]} and "vs_first" not in first
    loss = "word_loss" if way is per_word else "loss"
    assert figures(other)["vs_first"]["diff"] == pytest.approx(figures(other)[loss] - figures(first)[loss], abs=2e-4)
    low, high = figures(other)["vs_first"]["ci95"]
    assert low < figures(other)["vs_first"]["diff"] < high


def test_other_tokenizers_are_refused_but_for_words(model_folder, byte_level, text):
    for way in (per_token, pseudo_perplexity):
        with pytest.raises(UserError, match="different tokenizers.*--words"):
            way.run([model_folder, byte_level], text, None, True)


def test_a_model_without_a_head_and_a_file_without_texts_are_refused(model_folder, tmp_path):
    AutoModel.from_pretrained(model_folder).save_pretrained(tmp_path / "headless")
    (tmp_path / "headless" / "tokenizer.json").write_bytes((model_folder / "tokenizer.json").read_bytes())
    write_lines(tmp_path / "text.jsonl", [{"text": "fever"}])
    with pytest.raises(UserError, match="no masked-LM head"):
        per_token.run([tmp_path / "headless"], tmp_path / "text.jsonl", None, True)
    for wrong in ({"body": "fever"}, {"text": " "}):
        write_lines(tmp_path / "wrong.jsonl", [wrong])
        with pytest.raises(UserError, match="wrong.jsonl"):
            per_token.run([model_folder], tmp_path / "wrong.jsonl", None, True)
    with pytest.raises(UserError, match="--most is -1"):
        per_token.run([model_folder], tmp_path / "text.jsonl", -1, True)


@pytest.mark.parametrize(
    "way, text",
    [
        (per_token, "a"),
        (per_word, "a"),  # one token, which the masks of seed 1 leave alone
        (per_token, "\u200b \u200b"),
        (per_word, "\u200b \u200b"),
        (pseudo_perplexity, "\u200b \u200b"),
    ],
)  # zero-width spaces
def test_a_text_of_which_nothing_is_asked_has_no_loss(way, text, model_folder, tmp_path):
    write_lines(tmp_path / "text.jsonl", [{"text": text}])
    with pytest.raises(UserError, match="text.jsonl has nothing to predict"):
        way.run([model_folder], tmp_path / "text.jsonl", None, True)
