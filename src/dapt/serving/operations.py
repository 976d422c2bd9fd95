"""The operations of the models, for many requests at once; each request gets its result, or the reason why there is none."""

from collections.abc import Callable, Iterable, Sized
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from dapt.serving.engine import Chooser, Encoder, Ids, Model, Refused
from dapt.serving.requests import MOST_MASKS, Asked, Classify, Embed, FillMask, Rank, Score

APART = 7  # without `pseudo`, one token out of so many is masked in each copy: 14 %, about as in training
MOST_READ = 300_000  # tokens in all copies of all texts of a scoring request


Result = dict[str, Any] | list[Any] | Refused


def each(model: Model, requests: list[Any], prepare: Callable, answer: Callable) -> list[Result]:
    """`prepare(model, request)` returns the inputs or raises Refused; `answer(model, prepared, requests)` returns the
    results."""
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
    """Token ids; a text that is longer than the model's positions is refused."""
    found = model.ids(texts)
    for number, ids in enumerate(found, 1):
        if len(ids) > model.longest:
            raise Refused(
                f"text {number} has {len(ids)} tokens, but the model reads at most {model.longest}; shorten it"
            )
    return found


def parts(found: Iterable[Sized], values: Any) -> list[Any]:
    """Split `values` into groups of the sizes of `found`."""
    ends = np.cumsum([0, *map(len, found)])
    return [values[start:end] for start, end in pairwise(ends)]


def with_head(model: Model) -> Encoder:
    if not isinstance(model, Encoder) or not model.has_head:
        raise Refused(f"a {model.kind} model cannot fill in words; use an encoder, such as base")
    return model


def fill_mask(model: Model, requests: list[FillMask]) -> list[Result]:
    return each(model, requests, _masks, _fill)


def _masks(model: Model, request: FillMask) -> list[tuple[Ids, np.ndarray]]:
    found = []
    for number, ids in enumerate(checked(with_head(model), request.text), 1):
        asked = np.flatnonzero(ids == model.special.mask)
        if not len(asked):
            raise Refused(f"text {number} has no {model.mask}; put it in place of a word")
        if len(asked) > MOST_MASKS:
            raise Refused(f"text {number} has {model.mask} {len(asked)} times; at most {MOST_MASKS} are allowed")
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
    """For each text its ids, and the positions that are masked in each copy of it."""
    found = []
    for number, ids in enumerate(checked(with_head(model), request.text), 1):
        asked = np.flatnonzero(model.special.known(ids))
        if not len(asked):
            raise Refused(f"text {number} has no token that the model knows; send another text")
        apart = len(asked) if request.pseudo else min(APART, len(asked))
        found.append((ids, [asked[first::apart] for first in range(apart)]))
    if (read := sum(len(ids) * len(copies) for ids, copies in found)) > MOST_READ:
        raise Refused(
            f"scoring this request takes {read:,} tokens, more than the limit of {MOST_READ:,}; send fewer or shorter texts"
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
    """The mean loss over a text's tokens and its exponential; with `tokens` also each token's loss, null if it is not
    counted."""
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
        raise Refused(f"a {model.kind} model has no vectors; use an encoder or a ranking model")
    return model


def _read(model: Model, request: Embed) -> list[Ids]:
    return for_vectors(_encoder(model), request.text)


def for_vectors(model: Encoder, texts: list[str]) -> list[Ids]:
    """Token ids; for a ranking model, texts that are too long are truncated, as in its training."""
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
        raise Refused(f"a {model.kind} model has no classes; use one that was fine-tuned for classification")
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
    """Rank by the cosine similarity of query and document, or with a multiple-choice model by the probability of each
    option."""
    return each(model, requests, _documents, _ranked)


def _documents(model: Model, request: Rank) -> Any:
    if isinstance(model, Encoder):
        return for_vectors(model, [request.query, *request.documents])
    if model.kind != "multiple_choice":
        raise Refused(f"a {model.kind} model cannot rank; use a ranking model, or one for multiple choice")
    pairs = model.tokenizer.encode_batch([(request.query, document) for document in request.documents])
    if (longest := max(len(pair.ids) for pair in pairs)) > model.longest:
        raise Refused(
            f"query and document have {longest} tokens, but the model reads at most {model.longest}; shorten them"
        )
    fields = {"input_ids": "ids", "attention_mask": "attention_mask"}
    if getattr(model.network.config, "type_vocab_size", 0) > 1:  # as in fine-tuning
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
    """The index of each score, and the score, in descending order; ties keep their order."""
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
