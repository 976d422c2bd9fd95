"""Mixed load, with one request of a hundred broken: nothing but the right answers, and memory that stays as it is."""

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from server import Server

SECONDS = float(os.environ.get("DAPT_LOAD_SECONDS", "60"))
CLIENTS = 8
WARM = 0.4  # of the time, behind which memory is looked at: allocators keep what they have once needed
BROKEN: list[tuple[bytes, int]] = [
    (b"{", 400),
    (b'{"model": "biomed"}', 422),
    (b'{"model": "law", "text": ["[MASK]"]}', 404),
    (b'{"model": "biomed", "text": ["no mask"]}', 422),
    (b'{"model": "biomed", "text": ["\\ud800 [MASK]"]}', 422),
]


def resident(process: int) -> int:
    """Bytes in memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(SECONDS + 300)
def test_mixed_load_is_answered_and_takes_no_more_memory(served, texts):
    asked = [
        ("fill-mask", {"model": "biomed", "top_k": 5}, lambda text: {"text": [f"{text} [MASK]"]}),
        ("fill-mask", {"model": "finance"}, lambda text: {"text": [f"[MASK] {text}"]}),
        ("score", {"model": "base", "tokens": True}, lambda text: {"text": [text]}),
        ("embed", {"model": "answer_ranking/base"}, lambda text: {"text": [text]}),
        ("classify", {"model": "finance_classification/base"}, lambda text: {"text": [text]}),
        ("rank", {"model": "multiple_choice/base"}, lambda text: {"query": text, "documents": ["fever", "bank"]}),
    ]
    short = [text for text in texts if len(text.split()) < 20]
    codes: Counter[tuple[str, int, int]] = Counter()  # path, expected, found
    memory: list[int] = []
    begin = time.monotonic()

    def client(number: int, address: str) -> None:
        chance = random.Random(number)
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as session:
            while time.monotonic() - begin < SECONDS:
                if chance.random() < 0.01:
                    body, code = chance.choice(BROKEN)
                    answer = session.post("/v1/fill-mask", content=body, headers={"Content-Type": "application/json"})
                    codes["broken", code, answer.status_code] += 1
                else:
                    path, fixed, varied = chance.choice(asked)
                    answer = session.post(f"/v1/{path}", json=fixed | varied(chance.choice(short)))
                    codes[path, 200, answer.status_code] += 1

    with Server(served) as server:
        threads = [threading.Thread(target=client, args=(number, server.address)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        while time.monotonic() - begin < SECONDS:
            time.sleep(SECONDS / 60)
            memory.append(resident(server.process.pid))
        for thread in threads:
            thread.join()
        assert {(path, code) for path, code, _ in codes} >= {(path, 200) for path, *_ in asked}
        wrong = {key: count for key, count in codes.items() if key[1] != key[2]}
        assert not wrong and sum(codes.values()) > 10 * SECONDS
        assert not [line for line in server.logged() if line.get("status", 0) >= 500]
    settled = memory[int(WARM * len(memory)) :]
    assert max(settled) / min(settled) < 1.02, [round(value / 1e6, 1) for value in memory]
