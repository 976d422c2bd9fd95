"""The API of a real server, asked by real clients."""

import json
import shutil
import signal
import socket
import struct
import threading
import time

import httpx
import numpy as np
import openai
import pytest
import transformers
from prometheus_client.parser import text_string_to_metric_families

from repositories import run
from server import DAPT, Server

FILL = {"model": "biomed", "text": ["fever [MASK]"]}


def test_models_say_what_they_are_for(server):
    found = {one["id"]: one["kind"] for one in server.client.get("/v1/models").json()["data"]}
    assert found == {
        "base": "masked-lm",
        "biomed": "masked-lm",
        "finance": "masked-lm",
        "biomed_finance": "masked-lm",
        "answer_ranking/base": "ranking",
        "finance_classification/base": "classification",
        "multiple_choice/base": "multiple_choice",
    }
    assert server.client.get("/healthz").status_code == server.client.get("/readyz").status_code == 200


def test_each_path_answers(server, served, texts):
    plain = transformers.pipeline("fill-mask", model=str(served / "models/biomed"))("fever [MASK]")
    (filled,) = server.results("fill-mask", **FILL)
    assert [one["token_id"] for one in filled["masks"][0]] == [one["token"] for one in plain]
    assert [one["score"] for one in filled["masks"][0]] == pytest.approx([one["score"] for one in plain], abs=1e-4)
    assert len(server.results("score", model="base", text=texts[:3], tokens=True)) == 3
    assert len(server.results("embed", model="base", text=texts[:3])[2]["embedding"]) == 32
    (classes,) = server.results("classify", model="finance_classification/base", text=["fever"])
    assert sum(one["score"] for one in classes) == pytest.approx(1)
    ranked = server.results("rank", model="answer_ranking/base", query="fever", documents=texts[:4], top_n=2)
    assert len(ranked) == 2 and ranked[0]["score"] >= ranked[1]["score"]
    assert set(server.client.get("/v1/comparison").json()["matrix"]) >= {"base", "biomed", "finance"}


@pytest.mark.parametrize("form", ["float", "base64"])
def test_openai_s_client_gets_vectors(server, form):
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", http_client=httpx.Client(trust_env=False))
    results = server.results("embed", model="base", text=["fever", "bank"])
    expected = [one["embedding"] for one in results]
    wanted = {} if form == "base64" else {"encoding_format": "float"}  # the client asks for base64 by itself
    found = client.embeddings.create(model="base", input=["fever", "bank"], **wanted)
    np.testing.assert_allclose([one.embedding for one in found.data], expected, atol=1e-6)
    assert (
        found.usage.total_tokens == sum(one["tokens"] for one in results)
        and [model.id for model in client.models.list()][0] == "base"
    )


def test_openai_s_api_takes_one_text_as_well(server):
    one, several = (server.post("embeddings", model="base", input=given).json() for given in ("fever", ["fever"]))
    assert one == several
    assert (
        server.post("embeddings", model="base", input="")
        .json()["error"]["message"]
        .startswith("input.0: String should")
    )


def test_prometheus_reads_the_metrics(server):
    before = server.post("fill-mask", **FILL)
    assert before.status_code == 200 and server.post("fill-mask", model="none", text=["[MASK]"]).status_code == 404
    families = {family.name: family for family in text_string_to_metric_families(server.client.get("/metrics").text)}
    counts = {tuple(s.labels.values()): s.value for s in families["dapt_requests"].samples if s.name.endswith("_total")}
    assert counts["/v1/fill-mask", "200"] >= 1 and counts["/v1/fill-mask", "404"] >= 1
    assert families["dapt_request_seconds"].type == "histogram" and "dapt_batch_requests" in families


BAD = [
    (b"{", 400, "the body is not JSON"),
    (b"\xff\xfe", 400, "the body is not JSON"),
    (b"[]", 422, ""),
    (b"null", 422, ""),
    (b'{"model": "biomed"}', 422, "text: Field required"),
    (b'{"model": "biomed", "text": "fever [MASK]"}', 422, "text: Input should be a valid list"),
    (b'{"model": "biomed", "text": [7]}', 422, "text.0: Input should be a valid string"),
    (b'{"model": "biomed", "text": []}', 422, "text: List should have at least 1 item"),
    (b'{"model": "biomed", "text": [""]}', 422, "text.0: String should have at least 1 character"),
    (b'{"model": "biomed", "text": ["[MASK]"], "top_k": 0}', 422, "top_k: Input should be greater than or equal to 1"),
    (b'{"model": "biomed", "text": ["[MASK]"], "topk": 3}', 422, "topk: Extra inputs are not permitted"),
    (b'{"model": "biomed", "text": ["secret"]}', 422, "text 1 has no [MASK]"),
    (json.dumps({"model": "biomed", "text": ["[MASK] " * 20]}).encode(), 422, "text 1 has [MASK] 20 times; at most 10"),
    (b'{"model": "biomed", "text": ["secret \\u0000 [MASK]"]}', 422, "text.0: contains a NUL character"),
    (b'{"model": "biomed", "text": ["secret \\ud800 [MASK]"]}', 422, "text.0: Input should be a valid string"),
    (b'{"model": "law", "text": ["[MASK]"]}', 404, "there is no model 'law'; choose one of: base, biomed"),
    (b'{"model": "../biomed", "text": ["[MASK]"]}', 404, "there is no model"),
    (b'{"model": "\\ud800", "text": ["[MASK]"]}', 422, ""),
    (b'{"model": "answer_ranking/base", "text": ["[MASK]"]}', 422, "cannot fill in words"),
    (json.dumps({"model": "biomed", "text": ["a" * 30_000]}).encode(), 422, "at most 20000 characters"),
    (json.dumps({"model": "biomed", "text": ["a"] * 257}).encode(), 422, "at most 256 items"),
    (b'{"model": "biomed", "text": ["' + b"secret " * 1_500_000 + b'"]}', 413, "the body has more than 2,000,000 bytes"),
]  # fmt: skip


@pytest.mark.parametrize("body, code, message", BAD, ids=[str(body[:40]) for body, *_ in BAD])
def test_bad_requests_get_one_sentence_and_the_log_holds_none_of_their_text(server, body, code, message):
    answer = server.client.post("/v1/fill-mask", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == code, answer.text
    found = answer.json()["error"]["message"]
    assert message in found and "\n" not in found and "secret" not in found
    assert "secret" not in server.said() and "Traceback" not in server.said()


def test_other_paths_and_methods_are_refused_in_the_same_form(server):
    assert server.client.get("/v1/fill-mask").json()["error"]["code"] == 405
    assert server.client.get("/v1/none").json()["error"]["code"] == 404
    assert server.client.get("/../../params.yaml").status_code == 404


def test_a_body_without_a_length_is_measured_as_it_comes(server):
    def endless():
        for _ in range(300):
            yield b" " * 10_000

    answer = server.client.post("/v1/fill-mask", content=endless())
    assert answer.status_code == 413


def test_a_client_that_goes_away_in_the_middle_harms_nobody(server):
    host, port = server.address.removeprefix("http://").split(":")
    for part in (b"POST /v1/fill-mask HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"POST /v1/fill"):
        with socket.create_connection((host, int(port))) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no farewell
            connection.sendall(part)
    assert server.post("fill-mask", **FILL).status_code == 200
    assert "Traceback" not in server.said() and not [line for line in server.logged() if line.get("status") == 500]


def test_many_clients_at_once_get_their_own_answers(server):
    words = ["fever", "bank", "patient", "market", "dose", "share"] * 8
    alone = {word: server.results("embed", model="biomed", text=[word])[0]["embedding"] for word in set(words)}
    found: dict[int, list[float]] = {}

    def ask(number: int, word: str) -> None:
        found[number] = server.results("embed", model="biomed", text=[word])[0]["embedding"]

    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(words)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, word in enumerate(words):
        np.testing.assert_allclose(found[number], alone[word], atol=1e-5)


def test_a_model_that_disappears_is_not_there_any_more(served, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(served, folder)
    with Server(folder) as server:
        assert server.post("fill-mask", **FILL).status_code == 200
        shutil.rmtree(folder / "models/finance")
        answer = server.post("fill-mask", **FILL | {"model": "finance"})
        assert answer.status_code == 404 and "there is no model 'finance'" in answer.json()["error"]["message"]
        (folder / "models/base/model.safetensors").write_bytes(b"damaged")
        answer = server.post("fill-mask", **FILL | {"model": "base"})
        assert answer.status_code == 404 and "cannot be loaded" in answer.json()["error"]["message"]
        assert server.post("fill-mask", **FILL).status_code == 200


def test_a_model_that_was_trained_again_is_read_again(served, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(served, folder)
    with Server(folder) as server:
        before = server.results("embed", model="finance", text=["fever"])
        shutil.rmtree(folder / "models/finance")
        shutil.copytree(folder / "models/tasks/answer_ranking/base", folder / "models/finance")
        assert server.results("embed", model="finance", text=["fever"]) != before
        shutil.rmtree(folder / "models/finance")
        assert server.post("embed", model="finance", text=["fever"]).status_code == 404


def test_a_fault_is_counted_as_one_and_its_text_is_in_no_log(served, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(served, folder)
    path = folder / "models/tasks/answer_ranking/base/sentence_bert_config.json"
    path.write_text(path.read_text().replace("24", "null"))
    with Server(folder) as server:
        assert server.post("embed", model="answer_ranking/base", text=["secret"]).status_code == 500
        assert 'dapt_requests_total{path="/v1/embed",status="500"} 1.0' in server.client.get("/metrics").text
        fault, line = server.logged()[-2:]
        assert fault["fault"] == "TypeError" and line["status"] == 500
        assert "Traceback" not in server.said() and "secret" not in server.said()


def test_work_that_would_take_too_long_is_refused(server):
    answer = server.post("score", model="base", text=["fever bank " * 20] * 256, pseudo=True)
    assert answer.status_code == 422 and "tokens, more than the limit of 300,000" in answer.text


def test_models_make_room_for_each_other(served):
    size = (served / "models/biomed/model.safetensors").stat().st_size
    with Server(served, ("--memory", str(1.5 * size / 1e9))) as server:
        for name in ("biomed", "finance", "biomed"):
            assert server.post("fill-mask", **FILL | {"model": name}).status_code == 200
    with Server(served, ("--memory", str(0.5 * size / 1e9))) as server:
        assert "more than the" in server.post("fill-mask", **FILL).json()["error"]["message"]


def test_a_key_is_needed_as_soon_as_others_can_connect(served):
    refused = run(served, DAPT, "serve", "--host", "0.0.0.0", "--port", "0", code=2)
    assert "0.0.0.0 can be reached from other machines; set DAPT_API_KEY" in refused
    assert "printable ASCII" in run(served, DAPT, "serve", "--port", "0", code=2, DAPT_API_KEY="schlüssel")
    with Server(served, ("--host", "0.0.0.0"), {"DAPT_API_KEY": "a key"}) as server:
        assert server.post("fill-mask", **FILL).status_code == 401
        for path in ("models", "comparison"):
            assert server.client.get(f"/v1/{path}").status_code == 401
        assert server.client.get("/healthz").status_code == 200
        server.client.headers["Authorization"] = "Bearer another"
        assert server.post("fill-mask", **FILL).status_code == 401
        server.client.headers["Authorization"] = "Bearer a key"
        assert server.post("fill-mask", **FILL).status_code == 200


def test_a_server_that_is_asked_to_stop_answers_what_it_has_accepted(served, texts):
    with Server(served) as server:
        server.post("fill-mask", **FILL)  # loaded
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(server.post("score", model="biomed", text=texts * 7, pseudo=True))
        )
        asking.start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert answers[0].status_code == 200 and len(answers[0].json()["results"]) == len(texts) * 7


def test_a_full_queue_says_when_to_come_again(served, texts, monkeypatch):
    """In this process, with a queue that holds little."""
    import asyncio

    from dapt.serving.app import Limits, create
    from dapt.serving.store import Store

    app = create(Store(served / "models", 1 << 30), Limits(characters=500))

    async def flood() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            body = {"model": "biomed", "text": texts[:5]}
            return await asyncio.gather(*(client.post("/v1/score", json=body) for _ in range(40)))

    answers = asyncio.run(flood())
    codes = {answer.status_code for answer in answers}
    assert codes == {200, 429}
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 429)


@pytest.mark.parametrize(
    "words, message",
    [
        (("--models", "none"), "contains no models; create them with dvc repro"),
        (("--memory", "nan"), "--memory is nan; it must be a number of GB greater than 0"),
        (("--memory", "0"), "--memory is 0"),
        (("--port", "80000"), "cannot listen on 127.0.0.1, port 80000"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_a_line(served, words, message):
    (line,) = run(served, DAPT, "serve", *words, code=2).splitlines()
    assert line.startswith("dapt serve: ") and message in line


def test_what_the_description_of_the_api_says_is_so(server):
    """By Schemathesis: requests made from the OpenAPI document, right and wrong ones, and what the answers must be."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings

    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    for made in schema.get_all_operations():

        @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=made.ok().as_strategy())
        def conforms(case):
            case.call_and_validate(timeout=60)

        conforms()
