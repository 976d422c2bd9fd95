"""What all ways of judging share: the models and texts that they take."""

import json

import pytest
from transformers import AutoModel, AutoTokenizer

from dapt.core.files import write_lines
from dapt.judging import per_token, per_word, pseudo_perplexity
from dapt.judging.inputs import texts
from dapt.telling.errors import UserError
from references import TEXTS
from sources import written


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


@pytest.mark.parametrize("name", ["x.txt", "x.csv", "x.jsonl", "x.jsonl.gz", "x.parquet"])
def test_texts_are_read_in_every_format_that_clean_reads(tmp_path, name):
    if name == "x.txt":
        (tmp_path / name).write_text("\n".join(TEXTS[:4]), encoding="utf-8-sig")
    else:
        written(tmp_path / name, [{"text": text} for text in TEXTS[:4]])
    found = texts(tmp_path / name, None)
    assert [row["text"].strip() for row in found] == TEXTS[:4] and len({row["group"] for row in found}) == 4


def test_a_null_is_no_group_and_no_text(tmp_path, capsys):
    write_lines(
        tmp_path / "x.jsonl",
        [{"text": "a", "group": None}, {"text": None}, {"text": "b", "group": None}, {"text": "c", "group": 7.0}],
    )
    assert [row["group"] for row in texts(tmp_path / "x.jsonl", None)] == ["row 1", "row 3", "7"]
    assert "1 of 4 rows contain no text and are left out" in capsys.readouterr().err


def test_of_one_group_there_is_no_interval_and_what_does_not_exist_is_null(model_folder, tmp_path, capsys):
    write_lines(tmp_path / "x.jsonl", [{"text": TEXTS[0] * 3, "group": "one"}, {"text": TEXTS[1] * 3, "group": "one"}])
    for way in (per_token, per_word, pseudo_perplexity):
        way.run([model_folder], tmp_path / "x.jsonl", None, True)
        assert json.loads(capsys.readouterr().out)["loss_ci95"] is None
        way.run([model_folder], tmp_path / "x.jsonl", None, False)
        assert "nan" not in (said := capsys.readouterr().out) and "loss_ci95: –" in said or way is pseudo_perplexity


def test_resamples_without_a_masked_token_have_no_loss(model_folder, tmp_path, capsys):
    write_lines(
        tmp_path / "x.jsonl", [{"text": text} for text in ("fever", "a", "bank rate", "profits rose", TEXTS[0])]
    )
    per_token.run([model_folder], tmp_path / "x.jsonl", None, True)
    found = json.loads(capsys.readouterr().out)
    assert found["loss_ci95"][0] <= found["loss"] <= found["loss_ci95"][1]


def test_special_and_unknown_tokens_in_a_text_are_never_asked_for(model_folder, tmp_path, capsys, special):
    """Texts of such tokens alone have nothing to predict; among others they add nothing to it."""
    write_lines(tmp_path / "x.jsonl", [{"text": "[MASK] [SEP] [CLS] [PAD] 東 京 " * 20}])
    for way in (per_token, per_word, pseudo_perplexity):
        with pytest.raises(UserError, match="100.0 % of the tokens are unknown to the tokenizer, .*--unknown allow"):
            way.run([model_folder], tmp_path / "x.jsonl", None, True)
        with pytest.raises(UserError, match="nothing to predict"):
            way.run([model_folder], tmp_path / "x.jsonl", None, True, unknown="allow")
    write_lines(tmp_path / "x.jsonl", [{"text": text} for text in TEXTS[:6]])
    pseudo_perplexity.run([model_folder], tmp_path / "x.jsonl", None, True)
    plain = json.loads(capsys.readouterr().out)["tokens"]
    write_lines(tmp_path / "x.jsonl", [{"text": f"{text} [MASK] 東"} for text in TEXTS[:6]])
    pseudo_perplexity.run([model_folder], tmp_path / "x.jsonl", None, True)
    assert json.loads(capsys.readouterr().out)["tokens"] == plain


@pytest.mark.parametrize("way", [per_token, per_word, pseudo_perplexity])
def test_the_share_of_unknown_tokens_is_told_and_a_large_one_is_said(model_folder, tmp_path, capsys, way):
    words = " ".join(TEXTS[:6]).split()
    write_lines(tmp_path / "x.jsonl", [{"text": " ".join([*words[:16], "東", "京"])}])  # each its own token
    way.run([model_folder], tmp_path / "x.jsonl", None, True)
    printed = capsys.readouterr()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    ids = tokenizer(" ".join([*words[:16], "東", "京"]), add_special_tokens=False)["input_ids"]
    share = ids.count(tokenizer.unk_token_id) / len(ids)
    assert 0.05 < share < 0.3
    assert json.loads(printed.out)["unknown"] == round(share, 4)
    assert f"{100 * share:.1f} % of the tokens are unknown to the tokenizer; they are never predicted" in printed.err
