"""What all paths share: the limit on a body's size, one-sentence errors, metrics and logs."""

import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dapt.serving.engine import Refused
from dapt.serving.requests import sentence
from dapt.serving.store import Gone

BODY = 2_000_000  # bytes
GONE = 499  # the status of a request whose client has disconnected
QUIET = ("/healthz", "/readyz", "/metrics")  # requested continuously by monitoring
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LATENCIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


def refusal(code: int, message: str, **headers: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "code": code}}, code, headers or None)


class Smaller:
    """Refuses a body of more than BODY bytes before all of it has been read, whatever its headers say."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > BODY:
            return await refusal(413, f"the body has more than {BODY:,} bytes")(scope, receive, send)
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > BODY:
                return await refusal(413, f"the body has more than {BODY:,} bytes")(scope, receive, send)
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return await self.app(scope, whole, send)


class Meters:
    """The metrics for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dapt_requests", "Requests by path and status", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "dapt_request_seconds", "Seconds until the answer", ["path"], registry=self.registry, buckets=LATENCIES
        )
        self.batches = Histogram("dapt_batch_requests", "Requests in a batch", registry=self.registry, buckets=BATCHES)
        self.waiting = Gauge("dapt_waiting_characters", "Characters of the waiting texts", registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)


def log(**facts: Any) -> None:
    """Print a line of JSON to standard error; it never contains a request's text."""
    print(json.dumps({"time": round(time.time(), 3)} | facts), file=sys.stderr, flush=True)


class Told:
    """Counts each request, and logs one line about it."""

    def __init__(self, app: ASGIApp, meters: Meters):
        self.app, self.meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begin, status = time.perf_counter(), GONE

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, seen)
        except Exception as error:  # a bug in the server; its message might quote a text, so it is not logged
            last = traceback.extract_tb(error.__traceback__)[-1]
            log(fault=type(error).__name__, file=Path(last.filename).name, line=last.lineno)
            if status == GONE:
                await refusal(500, "internal error; the server's log says where")(scope, receive, seen)
        finally:
            took = time.perf_counter() - begin
            path = getattr(scope.get("route"), "path", "other")
            self.meters.requests.labels(path, status).inc()
            self.meters.seconds.labels(path).observe(took)
            if path not in QUIET:
                log(method=scope["method"], path=path, status=status, seconds=round(took, 4))


def add_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problem = error.errors()[0]
        if problem["type"] == "json_invalid":
            return refusal(400, f"the body is not JSON ({problem['ctx']['error']})")
        return refusal(422, sentence(problem, problem["loc"][1:]))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return refusal(error.status_code, str(error.detail), **dict(error.headers or {}))

    @app.exception_handler(Gone)
    async def gone(request: Request, error: Gone) -> JSONResponse:
        return refusal(404, str(error))

    @app.exception_handler(Refused)
    async def cannot(request: Request, error: Refused) -> JSONResponse:
        return refusal(422, str(error))
