"""What the engine makes of texts packed together, held against transformers and sentence-transformers."""

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer

from dapt.serving import engine, operations
from dapt.serving.requests import Classify, Embed, FillMask, Rank, Score


@pytest.fixture(scope="session")
def encoder(served) -> engine.Encoder:
    return engine.Encoder(served / "models/biomed")


def masked(text: str) -> str:
    words = text.split()
    words[len(words) // 2] = "[MASK]"
    return " ".join(words)


def test_filled_in_words_are_those_of_the_pipeline_of_transformers(served, encoder, texts):
    asked = [masked(text) for text in texts]
    plain = transformers.pipeline("fill-mask", model=str(served / "models/biomed"), top_k=4)
    (found,) = operations.fill_mask(encoder, [FillMask(model="biomed", text=asked, top_k=4)])
    for text, of in zip(asked, found, strict=True):
        expected = plain(text)
        assert [one["token_id"] for one in of["masks"][0]] == [one["token"] for one in expected]
        assert [one["score"] for one in of["masks"][0]] == pytest.approx([one["score"] for one in expected], abs=1e-4)


def test_requests_of_many_texts_and_masks_keep_their_places(encoder, texts):
    requests = [FillMask(model="x", text=[masked(text), f"[MASK] {text} [MASK]"], top_k=2) for text in texts]
    together = operations.fill_mask(encoder, requests)
    for request, found in zip(requests, together, strict=True):
        (alone,) = operations.fill_mask(encoder, [request])
        assert [len(of["masks"]) for of in found] == [1, 2]
        assert [
            [[token["token_id"] for token in tokens] for tokens in of["masks"]] for of in found
        ] == [[[token["token_id"] for token in tokens] for tokens in of["masks"]] for of in alone]  # fmt: skip


def test_vectors_are_the_means_of_sentence_transformers(served, encoder, texts):
    for name in ("biomed", "tasks/answer_ranking/base"):
        plain = SentenceTransformer(str(served / "models" / name), device="cpu").encode(texts)
        model = engine.Encoder(served / "models" / name)
        (found,) = operations.embed(model, [Embed(model=name, text=texts)])
        np.testing.assert_allclose(np.array([one["embedding"] for one in found]), plain, atol=1e-4)


def test_classes_and_choices_are_those_of_plain_transformers(served, texts):
    folder = served / "models/tasks/finance_classification/base"
    plain = transformers.pipeline("text-classification", model=str(folder), top_k=None)
    (found,) = operations.classify(engine.load(folder), [Classify(model="x", text=texts)])
    for text, of in zip(texts, found, strict=True):
        expected = {one["label"]: one["score"] for one in plain([text])[0]}
        assert {one["label"]: one["score"] for one in of} == pytest.approx(expected, abs=1e-4)

    folder = served / "models/tasks/multiple_choice/base"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForMultipleChoice.from_pretrained(folder).eval()
    pairs = tokenizer([texts[0]] * 3, texts[1:4], padding=True, return_tensors="pt", return_token_type_ids=True)
    with torch.no_grad():
        expected = network(**{name: value[None] for name, value in pairs.items()}).logits[0].softmax(-1)
    (ranked,) = operations.rank(engine.load(folder), [Rank(model="x", query=texts[0], documents=texts[1:4])])
    assert [one["index"] for one in ranked] == expected.argsort(descending=True).tolist()
    assert [one["score"] for one in ranked] == pytest.approx(sorted(expected.tolist(), reverse=True), abs=1e-4)


def test_ranks_are_the_cosines_of_sentence_transformers(served, texts):
    folder = served / "models/tasks/answer_ranking/base"
    plain = SentenceTransformer(str(folder), device="cpu")
    cosines = plain.encode(texts[1:]) @ plain.encode(texts[0])
    (ranked,) = operations.rank(engine.load(folder), [Rank(model="x", query=texts[0], documents=texts[1:], top_n=5)])
    assert [one["index"] for one in ranked] == np.argsort(-cosines, kind="stable")[:5].tolist()
    assert [one["score"] for one in ranked] == pytest.approx(np.sort(cosines)[::-1][:5].tolist(), abs=1e-4)


@pytest.mark.parametrize("pseudo", [False, True])
def test_losses_are_those_of_texts_with_tokens_hidden_one_by_one(served, encoder, texts, pseudo):
    """By plain transformers: pseudo-perplexity hides each token alone, the other every seventh."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(served / "models/biomed")
    network = transformers.AutoModelForMaskedLM.from_pretrained(served / "models/biomed").eval()
    (found,) = operations.score(encoder, [Score(model="x", text=texts[-3:], pseudo=pseudo, tokens=True)])
    for text, of in zip(texts[-3:], found, strict=True):
        ids = tokenizer(text, return_tensors="pt").input_ids[0]
        places = [place for place in range(1, len(ids) - 1) if ids[place] != tokenizer.unk_token_id]
        apart = len(places) if pseudo else min(7, len(places))
        expected = {}
        for first in range(apart):
            hidden = ids.clone()
            hidden[places[first::apart]] = tokenizer.mask_token_id
            with torch.no_grad():
                shares = network(hidden[None]).logits[0].log_softmax(-1)
            expected |= {place: -shares[place, ids[place]].item() for place in places[first::apart]}
        losses = [one["loss"] for one in of["per_token"]]
        assert len(losses) == len(ids) - 2 and of["tokens"] == len(places)
        assert [loss for loss in losses if loss is not None] == pytest.approx(
            [expected[place] for place in places], abs=1e-4
        )
        assert of["loss"] == pytest.approx(np.mean(list(expected.values())), abs=1e-4)
        assert of["perplexity"] == pytest.approx(np.exp(of["loss"]))


def test_texts_that_share_a_row_do_not_see_each_other(encoder, texts):
    ids = encoder.ids(texts)
    torch.testing.assert_close(
        encoder.vectors(ids), torch.cat([encoder.vectors([one]) for one in ids]), atol=1e-5, rtol=0
    )


def test_passes_hold_so_many_tokens_and_a_longer_text_alone():
    assert engine.chunks([engine.AT_ONCE, 1, 1]) == [[0], [1, 2]]
    assert engine.chunks([1, engine.AT_ONCE + 5, 1]) == [[0], [1], [2]]


@pytest.mark.parametrize(
    "operation, request_, message",
    [
        ("fill-mask", FillMask(model="x", text=["no mask"]), r"text 1 has no \[MASK\]"),
        ("fill-mask", FillMask(model="x", text=["[MASK]", "[MASK] " * 11]), r"text 2 has \[MASK\] 11 times; at most 10"),
        ("fill-mask", FillMask(model="x", text=["[MASK] " + "fever " * 997]), r"text 1 has 1000 tokens, but the model reads at most \d+;"),
        ("classify", Classify(model="x", text=["fever"]), "a masked-lm model has no classes"),
        ("score", Score(model="x", text=["\u2603"]), "text 1 has no token that the model knows"),
    ],
)  # fmt: skip
def test_one_request_that_cannot_be_answered_does_not_spoil_the_others(encoder, operation, request_, message):
    good = {"fill-mask": FillMask(model="x", text=["fever [MASK]"]), "score": Score(model="x", text=["fever"])}
    asked = [request_, good.get(operation, request_)]
    refused, answered = operations.OPERATIONS[operation](encoder, asked)
    assert isinstance(refused, operations.Refused)
    with pytest.raises(operations.Refused, match=message):
        raise refused
    assert isinstance(answered, operations.Refused) == (asked[0] is asked[1])
