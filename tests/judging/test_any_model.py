"""Any models on any text, held against plain transformers loops that read one text at a time."""

import json
import math

import numpy as np
import pytest
import torch
from test_evaluate import plain_loop
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModel, AutoModelForMaskedLM, PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM

from dapt.core.files import write_lines
from dapt.judging import inputs, per_token, per_word, pseudo_perplexity
from dapt.judging.masked_loss import key
from dapt.telling.errors import UserError
from sentences import sentences

TEXTS = [text.capitalize() + "." for text in sentences(30, seed=3) + sentences(4, seed=4, longest=300)]


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory):
    """A RoBERTa of random weights with a byte-level BPE tokenizer, trained here, smaller pieces than the WordPiece one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(
        sentences(100),
        trainers.BpeTrainer(
            vocab_size=300, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    folder = tmp_path_factory.mktemp("byte_level")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
    ).save_pretrained(folder)
    torch.manual_seed(2)
    RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=160,
            pad_token_id=1,
            initializer_range=0.5,
        )
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def other_weights(model_folder, tmp_path_factory):
    """The WordPiece model's twin with weights of its own."""
    folder = tmp_path_factory.mktemp("twin")
    for file in model_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    network = AutoModelForMaskedLM.from_pretrained(folder)
    torch.manual_seed(5)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn_like(value) * 0.2)
    network.save_pretrained(folder)
    return folder


@pytest.fixture()
def text(tmp_path):
    write_lines(
        tmp_path / "text.jsonl", ({"text": text, "group": f"g{number // 2}"} for number, text in enumerate(TEXTS))
    )
    return tmp_path / "text.jsonl"


@pytest.fixture()
def judge(text, capsys):
    def run(way, *folders, most=None, **more) -> list[dict]:
        way.run(list(folders), text, most, True, **more)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def log_probabilities(network, ids: list[int]) -> torch.Tensor:
    """[tokens, vocabulary] of a text alone, [CLS] and [SEP] of its tokenizer around it."""
    cls, sep = network.around
    with torch.no_grad():
        return network(input_ids=torch.tensor([[cls, *ids, sep]])).logits[0, 1:-1].double().log_softmax(-1)


def plain(folder):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    network = AutoModelForMaskedLM.from_pretrained(folder).eval()
    network.around = tokenizer.cls_token_id, tokenizer.sep_token_id
    return tokenizer, network


def test_one_model_on_any_text_gives_the_figures_of_evaluate(model_folder, judge):
    [result] = judge(per_token, model_folder)
    assert set(result) == {"loss", "perplexity", "accuracy", "accuracy_top5", "masked_tokens", "loss_ci95"}
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


def test_a_text_without_a_token_to_predict_leaves_the_intervals_of_the_others(model_folder, tmp_path, capsys):
    write_lines(tmp_path / "text.jsonl", [{"text": ""}, {"text": TEXTS[0]}])
    pseudo_perplexity.run([model_folder], tmp_path / "text.jsonl", None, True)
    found = json.loads(capsys.readouterr().out)
    assert found["loss_ci95"] == pytest.approx([found["loss"]] * 2, abs=1e-4)  # one text, so all resamples are it


def test_draws_that_cannot_be_are_refused(model_folder, text):
    with pytest.raises(UserError, match="--draws is 0; it must be 1 or more"):
        per_token.run([model_folder], text, None, True, draws=0)


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
    per_word.run([model_folder, byte_level], tmp_path / "text.jsonl", None, True)
    printed = capsys.readouterr()
    results = [json.loads(line) for line in printed.out.splitlines()]
    unknown = int(printed.err.split("in all; ")[1].split()[0])
    assert unknown > 0 and results[0]["words"] == results[1]["words"] > 0
    assert results[0]["words"] + unknown == int(printed.err.split()[0])


def test_pseudo_likelihood_is_a_plain_loop_s(model_folder, judge, capsys):
    [result] = judge(pseudo_perplexity, model_folder, most=8)
    tokenizer, network = plain(model_folder)
    alone = within = count = 0
    for text in TEXTS[:8]:
        encoding = tokenizer(text, add_special_tokens=False)
        ids, of = encoding["input_ids"], encoding.word_ids()
        for place, token in enumerate(ids):
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
