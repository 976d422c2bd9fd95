"""The paths of the API, and the page. Requests are answered through the Batcher."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from dapt.core.files import read_json
from dapt.core.paths import METRICS
from dapt.serving.around import Meters, Smaller, Told, add_errors, refusal
from dapt.serving.batcher import Batcher, Full
from dapt.serving.operations import OPERATIONS, Refused
from dapt.serving.requests import Answer, Asked, Classify, Embed, FillMask, OpenAIEmbeddings, Rank, Score
from dapt.serving.store import Store

PAGE = Path(__file__).parent / "page"
Ask = Callable[[str, Asked], Awaitable[Any]]  # an operation and a request → its result
REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, "content": {"application/json": {"example": {"error": {"message": text}}}}}
    for code, text in {
        400: "The body is not JSON.",
        401: "The key is missing or wrong.",
        404: "There is no such model.",
        413: "The body is too large.",
        422: "The request cannot be answered.",
        429: "Too many requests are waiting; Retry-After says how long to wait.",
        503: "The answer took too long.",
    }.items()
}


@dataclass(frozen=True)
class Limits:
    """The limits of a server."""

    key: str | None = None  # clients must send it
    characters: int = 2_000_000  # of all waiting texts
    seconds: float = 60.0  # until an answer must be ready


def guards(key: str | None) -> list[Any]:
    """What a path checks before it answers: the key, if there is one."""
    if key is None:
        return []

    async def allowed(given: Annotated[Any, Depends(HTTPBearer(auto_error=False))]) -> None:
        if not (given and secrets.compare_digest(given.credentials.encode(), key.encode())):
            message = "the key is missing or wrong; send the header Authorization: Bearer KEY"
            raise HTTPException(401, message, {"WWW-Authenticate": "Bearer"})

    return [Depends(allowed)]


def asking(batcher: Batcher, limits: Limits) -> Ask:
    """A function that gets a request answered within the limits."""

    async def ask(operation: str, asked: Asked) -> Any:
        size = sum(map(len, asked.texts()))
        try:
            async with asyncio.timeout(limits.seconds):
                result = await batcher.ask(asked.model, operation, asked, size)
        except Full:
            raise HTTPException(
                429, "too many requests are waiting; try again in a second", {"Retry-After": "1"}
            ) from None
        except TimeoutError:
            late = f"no answer within {limits.seconds:g} s; try again"
            raise HTTPException(503, late, {"Retry-After": "5"}) from None
        if isinstance(result, Refused):
            raise result
        return result

    return ask


def create(store: Store, limits: Limits) -> FastAPI:
    """The web application that serves the models of a store."""

    def run(name: str, operation: str, requests: list[Any], wanted: Callable[[], bool]) -> list[Any]:
        model = store.get(name)
        model.wanted = wanted
        return OPERATIONS[operation](model, requests)

    meters = Meters()
    batcher = Batcher(run, limits.characters, meters.batches.observe)
    meters.waiting.set_function(lambda: batcher.characters)

    @asynccontextmanager
    async def alive(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(batcher.close)

    app = FastAPI(
        title="dapt", summary="Domain-adapted encoders", version="1", lifespan=alive, docs_url=None, redoc_url=None
    )
    add_errors(app)
    app.add_middleware(Smaller)
    app.add_middleware(Told, meters=meters)
    add_operations(app, asking(batcher, limits), guards(limits.key))
    add_facts(app, store, meters, guards(limits.key))
    return app


def add_operations(app: FastAPI, ask: Ask, needs: list[Any]) -> None:
    more: dict[str, Any] = {"dependencies": needs, "responses": REFUSALS}

    @app.post("/v1/fill-mask", **more)
    async def fill_mask(asked: FillMask) -> Answer:
        """The most likely tokens for each [MASK], with their probabilities."""
        return Answer(model=asked.model, results=await ask("fill-mask", asked))

    @app.post("/v1/score", **more)
    async def score(asked: Score) -> Answer:
        """The loss per token of each text, and its exponential, the perplexity."""
        return Answer(model=asked.model, results=await ask("score", asked))

    @app.post("/v1/embed", **more)
    async def embed(asked: Embed) -> Answer:
        """A vector for each text: the mean of its last hidden states; ranking models normalise it to length 1."""
        return Answer(model=asked.model, results=await ask("embed", asked))

    @app.post("/v1/classify", **more)
    async def classify(asked: Classify) -> Answer:
        """The classes of each text with their probabilities, the most likely first."""
        return Answer(model=asked.model, results=await ask("classify", asked))

    @app.post("/v1/rank", **more)
    async def rank(asked: Rank) -> Answer:
        """The documents, best first: by cosine similarity, or for a multiple-choice model by probability."""
        return Answer(model=asked.model, results=await ask("rank", asked))

    @app.post("/v1/embeddings", **more)
    async def embeddings(asked: OpenAIEmbeddings) -> dict[str, Any]:
        """Vectors in the format of OpenAI's API."""
        results = await ask("embed", Embed(model=asked.model, text=asked.input))
        vectors, tokens = [of["embedding"] for of in results], sum(of["tokens"] for of in results)
        if asked.dimensions not in (None, len(vectors[0])):
            raise Refused(
                f"dimensions: the model's vectors have {len(vectors[0])}; send this number, or omit the field"
            )
        shown = [encoded(vector) if asked.encoding_format == "base64" else vector for vector in vectors]
        return {
            "object": "list",
            "model": asked.model,
            "data": [{"object": "embedding", "index": number, "embedding": of} for number, of in enumerate(shown)],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }


def shown(file: Path) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        return FileResponse(file)

    return show


def encoded(vector: list[float]) -> str:
    return base64.b64encode(np.array(vector, "<f4").tobytes()).decode()


def add_facts(app: FastAPI, store: Store, meters: Meters, needs: list[Any]) -> None:
    @app.get("/v1/models", dependencies=needs)
    async def models() -> dict[str, Any]:
        """The available models, and the kind of each."""
        known = await asyncio.to_thread(store.names)
        data = [{"id": name, "object": "model", "owned_by": "dapt", "kind": kind} for name, kind in known.items()]
        return {"object": "list", "data": data}

    @app.get("/v1/comparison", dependencies=needs)
    async def comparison() -> dict[str, Any]:
        """The loss of each model on each held-out set in the last run; empty if there is none."""
        path = METRICS / "comparison.json"
        return {"matrix": read_json(path)["matrix"]} if path.is_file() else {"matrix": {}}

    @app.get("/healthz", include_in_schema=False)
    async def healthy() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False)
    async def ready() -> Response:
        known = await asyncio.to_thread(store.names)
        return JSONResponse({"models": len(known)}) if known else refusal(503, "there are no models yet")

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(meters.text(), media_type=CONTENT_TYPE_LATEST)

    for name in ("", "page.css", "page.js"):
        app.add_route(f"/{name}", shown(PAGE / (name or "index.html")))
