"""What models do with requests: many at once, each of which gets its result, or the reason why there is none."""

from collections.abc import Callable, Iterable, Sized
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from dapt.serving.engine import Chooser, Encoder, Ids, Model, Refused
from dapt.serving.requests import MOST_MASKS, Asked, Classify, Embed, FillMask, Rank, Score

APART = 7  # tokens of which one is hidden at a time, where not each is hidden alone: a share of 14 %, as in training
MOST_READ = 300_000  # tokens, of all copies of all texts that are read to score them


Result = dict[str, Any] | list[Any] | Refused


def each(model: Model, requests: list[Any], prepare: Callable, answer: Callable) -> list[Result]:
    """`prepare(model, request)` gives what is read, or raises Refused; `answer(model, prepared, requests)` what comes of it."""
    prepared: list[Any] = []
    for request in requests:
        try:
            prepared.append(prepare(model, request))
        except Refused as error:
            prepared.append(error)
    good = [number for number, one in enumerate(prepared) if not isinstance(one, Refused)]
    if good:
        results = answer(model, [prepared[number] for number in good], [requests[number] for number in good])
        for number, result in zip(good, results, strict=True):
            prepared[number] = result
    return prepared


def checked(model: Model, texts: list[str]) -> list[Ids]:
    """Token ids; a text with more tokens than the model has positions is refused."""
    found = model.ids(texts)
    for number, ids in enumerate(found, 1):
        if len(ids) > model.longest:
            raise Refused(
                f"text {number} has {len(ids)} tokens, more than the {model.longest} that the model reads; cut it"
            )
    return found


def parts(found: Iterable[Sized], values: Any) -> list[Any]:
    """Values in groups of the sizes of `found`."""
    ends = np.cumsum([0, *map(len, found)])
    return [values[start:end] for start, end in pairwise(ends)]


def with_head(model: Model) -> Encoder:
    if not isinstance(model, Encoder) or not model.has_head:
        raise Refused(f"the model is for {model.kind} and fills in no words; take an encoder, such as base")
    return model


def fill_mask(model: Model, requests: list[FillMask]) -> list[Result]:
    return each(model, requests, _masks, _fill)


def _masks(model: Model, request: FillMask) -> list[tuple[Ids, np.ndarray]]:
    found = []
    for number, ids in enumerate(checked(with_head(model), request.text), 1):
        asked = np.flatnonzero(ids == model.special.mask)
        if not len(asked):
            raise Refused(f"text {number} has no {model.mask}; put it where a word is wanted")
        if len(asked) > MOST_MASKS:
            raise Refused(f"text {number} has {len(asked)} times {model.mask}; at most {MOST_MASKS} are filled in")
        found.append((ids, asked))
    return found


def _fill(model: Encoder, prepared: list[list[tuple[Ids, np.ndarray]]], requests: list[FillMask]) -> list[Result]:
    texts = [text for of in prepared for text in of]
    logits = model.logits([ids for ids, _ in texts], [asked for _, asked in texts])
    most = min(max(request.top_k for request in requests), logits.shape[1])
    best = logits.topk(most)
    shares = (best.values - logits.logsumexp(1, keepdim=True)).exp()
    tokens = [
        [
            {"token": model.tokenizer.decode([number], skip_special_tokens=False), "token_id": number, "score": share}
            for number, share in zip(of, with_shares)
        ]
        for of, with_shares in zip(best.indices.tolist(), shares.tolist())
    ]
    by_text = parts([asked for _, asked in texts], tokens)
    return [
        [{"masks": [of[: request.top_k] for of in masks]} for masks in masks_of]
        for request, masks_of in zip(requests, parts(prepared, by_text))
    ]


def score(model: Model, requests: list[Score]) -> list[Result]:
    return each(model, requests, _copies, _score)


def _copies(model: Model, request: Score) -> list[tuple[Ids, list[np.ndarray]]]:
    """Of each text its ids and the places that are hidden in each copy of it."""
    found = []
    for number, ids in enumerate(checked(with_head(model), request.text), 1):
        asked = np.flatnonzero(model.special.known(ids))
        if not len(asked):
            raise Refused(f"text {number} has no token that the model knows; give another")
        apart = len(asked) if request.pseudo else min(APART, len(asked))
        found.append((ids, [asked[first::apart] for first in range(apart)]))
    if (read := sum(len(ids) * len(copies) for ids, copies in found)) > MOST_READ:
        raise Refused(
            f"{read:,} tokens would be read to score this, more than {MOST_READ:,}; send fewer or shorter texts"
        )
    return found


def _score(model: Encoder, prepared: list[list[tuple[Ids, list[np.ndarray]]]], requests: list[Score]) -> list[Result]:
    found: list[Result] = []
    for of, request in zip(prepared, requests, strict=True):
        results = []
        for ids, copies in of:
            hidden = [np.where(np.isin(np.arange(len(ids)), asked), model.special.mask, ids) for asked in copies]
            places = np.concatenate(copies)
            truth = torch.from_numpy(ids[places])
            losses = F.cross_entropy(model.logits(hidden, copies), truth, reduction="none").double()
            results.append(_losses(model, ids, places, losses.numpy(), request.tokens))
        found.append(results)
    return found


def _losses(model: Encoder, ids: Ids, places: np.ndarray, losses: np.ndarray, tokens: bool) -> dict[str, Any]:
    """The mean over a text's tokens and its exponential; `tokens`: each with its loss, null where it is not counted."""
    mean = float(losses.mean())
    result: dict[str, Any] = {"loss": mean, "perplexity": float(np.exp(min(mean, 700))), "tokens": len(places)}
    if tokens:
        of = dict(zip(places.tolist(), losses.tolist()))
        shown = [model.tokenizer.id_to_token(number) for number in ids.tolist()]
        result["per_token"] = [{"token": shown[place], "loss": of.get(place)} for place in range(1, len(ids) - 1)]
    return result


def embed(model: Model, requests: list[Embed]) -> list[Result]:
    return each(model, requests, _read, _vectors)


def _encoder(model: Model) -> Encoder:
    if not isinstance(model, Encoder):
        raise Refused(f"the model is for {model.kind} and makes no vectors; take an encoder or a ranking model")
    return model


def _read(model: Model, request: Embed) -> list[Ids]:
    return for_vectors(_encoder(model), request.text)


def for_vectors(model: Encoder, texts: list[str]) -> list[Ids]:
    """Token ids; a ranking model reads the beginning of a text that is too long, as it was trained to."""
    return [model.cut(ids) for ids in model.ids(texts)] if model.pooled else checked(model, texts)


def _vectors(model: Encoder, prepared: list[list[Ids]], requests: list[Embed]) -> list[Result]:
    read = [ids for of in prepared for ids in of]
    vectors = model.vectors(read).tolist()
    return parts(
        prepared, [{"embedding": vector, "tokens": len(ids)} for vector, ids in zip(vectors, read, strict=True)]
    )


def classify(model: Model, requests: list[Classify]) -> list[Result]:
    return each(model, requests, _texts, _classes)


def _texts(model: Model, request: Classify) -> list[Ids]:
    if not isinstance(model, Chooser) or model.kind != "classification":
        raise Refused(f"the model is for {model.kind} and knows no classes; take one that was fine-tuned to classify")
    return checked(model, request.text)


def _classes(model: Chooser, prepared: list[list[Ids]], requests: list[Classify]) -> list[Result]:
    inputs = [{"input_ids": torch.from_numpy(ids)[None]} for of in prepared for ids in of]
    found = [
        [{"label": model.labels[place], "score": share} for place, share in best_first(shares)]
        for shares in model.scores(inputs)
    ]
    return [
        [classes[: request.top_k] for classes in of]
        for request, of in zip(requests, parts(prepared, found), strict=True)
    ]


def rank(model: Model, requests: list[Rank]) -> list[Result]:
    """By the cosine of question and document, or, of a model for multiple choice, by the probability of each option."""
    return each(model, requests, _documents, _ranked)


def _documents(model: Model, request: Rank) -> Any:
    if isinstance(model, Encoder):
        return for_vectors(model, [request.query, *request.documents])
    if model.kind != "multiple_choice":
        raise Refused(
            f"the model is for {model.kind} and ranks nothing; take a ranking model, or one for multiple choice"
        )
    pairs = model.tokenizer.encode_batch([(request.query, document) for document in request.documents])
    if (longest := max(len(pair.ids) for pair in pairs)) > model.longest:
        raise Refused(
            f"query and document have {longest} tokens, more than the {model.longest} that the model reads; cut them"
        )
    fields = {"input_ids": "ids", "attention_mask": "attention_mask"}
    if getattr(model.network.config, "type_vocab_size", 0) > 1:  # as in the fine-tuning
        fields["token_type_ids"] = "type_ids"
    padded = {
        name: [
            getattr(pair, of) + [model.special.pad * (name == "input_ids")] * (longest - len(pair.ids))
            for pair in pairs
        ]
        for name, of in fields.items()
    }
    return {name: torch.tensor(values)[None] for name, values in padded.items()}


def _ranked(model: Model, prepared: list[Any], requests: list[Rank]) -> list[Result]:
    if isinstance(model, Encoder):
        vectors = F.normalize(model.vectors([ids for of in prepared for ids in of]), dim=-1)
        scores = [of[1:] @ of[0] for of in parts(prepared, vectors)]
    else:
        assert isinstance(model, Chooser)
        scores = model.scores(prepared)
    return [
        [{"index": place, "score": value} for place, value in best_first(of)][: request.top_n]
        for of, request in zip(scores, requests, strict=True)
    ]


def best_first(scores: torch.Tensor) -> list[tuple[int, float]]:
    """The place of each score, and the score; of equals the first one first."""
    best = scores.sort(descending=True, stable=True)
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))


OPERATIONS: dict[str, Callable[[Model, list[Any]], list[Result]]] = {
    "fill-mask": fill_mask,
    "score": score,
    "embed": embed,
    "classify": classify,
    "rank": rank,
}
ASKED: dict[str, type[Asked]] = {
    "fill-mask": FillMask,
    "score": Score,
    "embed": Embed,
    "classify": Classify,
    "rank": Rank,
}
