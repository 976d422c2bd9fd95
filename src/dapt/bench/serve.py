"""`dapt bench serve`: compares `dapt serve` with transformers' pipeline in the same web framework, under 32 clients that each
ask for the masked word of a sentence; and its vectors with sentence-transformers' `encode`.

The model has the size of MiniLM-L6 with random weights, and the tokenizer of models/base. Each server is a separate process;
the same clients use them in turns, and each waits for an answer before it asks again.
"""

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dapt.core.files import read_lines
from dapt.core.paths import MODELS, SPLIT
from dapt.telling.errors import UserError

CLIENTS, SECONDS, TEXTS = 32, 15, 512
MINILM: dict[str, Any] = {
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "intermediate_size": 1536,
    "num_attention_heads": 12,
}
WORDS = 20  # per sentence


def prepare(folder: Path) -> None:
    """Write models/minilm into a folder."""
    from transformers import BertConfig, BertForMaskedLM

    from dapt.model.tokenizer import copy_tokenizer, load_tokenizer

    _, special = load_tokenizer(MODELS / "base")
    model = BertForMaskedLM(BertConfig(vocab_size=special.vocabulary, **MINILM))
    model.save_pretrained(folder / "models/minilm")
    copy_tokenizer(MODELS / "base", folder / "models/minilm")


def sentences() -> list[str]:
    """The first WORDS words of held-out texts, one of them masked."""
    found = []
    for row in read_lines(SPLIT / "biomed/heldout.jsonl"):
        words = row["text"].split()[:WORDS]
        words[len(words) // 2] = "[MASK]"
        found.append(" ".join(words))
        if len(found) == TEXTS:
            break
    return found


def free_port() -> int:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        return given.getsockname()[1]


@contextmanager
def running(*command: str, port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=sys.stderr, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


async def asked(port: int, path: str, bodies: list[bytes], seconds: float) -> list[float]:
    """How many seconds each answer took, with CLIENTS clients asking for `seconds` seconds."""
    took: list[float] = []
    end = time.monotonic() + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end:
            body = bodies[number % len(bodies)]
            begin = time.perf_counter()
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(answer.split("content-length: ")[1].split("\r")[0]))
            if not answer.startswith("http/1.1 200"):
                raise UserError(
                    f"the server of {path} answered {answer.splitlines()[0]}; check that its port is free and run again"
                )
            took.append(time.perf_counter() - begin)
            number += CLIENTS
        writer.close()

    await asyncio.gather(*map(client, range(CLIENTS)))
    return took


def load(port: int, path: str, body: Callable[[str], dict], texts: list[str]) -> dict:
    """Answers per second and the 99th percentile of their latency in seconds, after a warm-up of one second."""
    bodies = [json.dumps(body(text)).encode() for text in texts]
    asyncio.run(asked(port, path, bodies, 1.0))
    begin = time.monotonic()
    took = asyncio.run(asked(port, path, bodies, SECONDS))
    return {"rate": len(took) / (time.monotonic() - begin), "p99": float(np.percentile(took, 99))}


def fill_mask(folder: Path, texts: list[str], rounds: int) -> dict:
    ports = free_port(), free_port()
    here = ("serve", "--models", str(folder / "models"), "--port", str(ports[0]))
    ours = running(sys.executable, "-m", "dapt", *here, port=ports[0])
    module = (sys.executable, "-m", "dapt.bench.usual_server", str(folder / "models/minilm"), str(ports[1]))
    with ours, running(*module, port=ports[1]):
        turns = [
            (
                load(ports[0], "/v1/fill-mask", lambda text: {"model": "minilm", "text": [text]}, texts),
                load(ports[1], "/fill-mask", lambda text: {"text": text}, texts),
            )
            for _ in range(rounds)
        ]
    rate, peer_rate, p99, peer_p99 = (
        statistics.median(turn[side][figure] for turn in turns) for figure in ("rate", "p99") for side in (0, 1)
    )
    line = compared("serve/fill-mask", rate, peer_rate, "answers/s")
    return line | {"p99_ms": round(1000 * p99, 1), "peer_p99_ms": round(1000 * peer_p99, 1)}


def compared(name: str, rate: float, peer_rate: float, unit: str) -> dict:
    return {
        "name": name,
        "ours": round(rate, 1),
        "peer": round(peer_rate, 1),
        "ratio": round(rate / peer_rate, 2),
        "unit": unit,
    }


def vectors(folder: Path, texts: list[str], rounds: int) -> dict:
    from sentence_transformers import SentenceTransformer

    from dapt.serving.engine import Encoder

    ours, peer = Encoder(folder / "models/minilm"), SentenceTransformer(str(folder / "models/minilm"), device="cpu")

    def timed(work: Callable[[], object]) -> float:
        begin = time.perf_counter()
        work()
        return len(texts) / (time.perf_counter() - begin)

    turns = [
        (timed(lambda: ours.vectors(ours.ids(texts))), timed(lambda: peer.encode(texts, batch_size=64)))
        for _ in range(rounds + 1)
    ][1:]
    rate, peer_rate = (statistics.median(turn[side] for turn in turns) for side in (0, 1))
    return compared("serve/embed", rate, peer_rate, "texts/s")


def run(rounds: int, as_json: bool) -> None:
    for path in (MODELS / "base/config.json", SPLIT / "biomed/heldout.jsonl"):
        if not path.exists():
            raise UserError(f"{path} does not exist, but this benchmark needs it; run `dvc repro` first")
    texts = sentences()
    with TemporaryDirectory() as place:
        prepare(Path(place))
        for measure in (fill_mask, vectors):
            line = measure(Path(place), texts, rounds)
            print(
                json.dumps(line) if as_json else "  ".join(f"{name} {value}" for name, value in line.items()),
                flush=True,
            )
