"""Requests that come together are answered together, each with its own answer."""

import asyncio
import threading

import pytest

from dapt.serving.batcher import Batcher, Full
from dapt.serving.engine import Refused


def asked_together(run, *asked: tuple[str, str, object], most: int = 10_000) -> list:
    async def together() -> list:
        batcher = Batcher(run, most)
        try:
            return await asyncio.gather(
                *(batcher.ask(model, operation, request, 10) for model, operation, request in asked),
                return_exceptions=True,
            )
        finally:
            await asyncio.to_thread(batcher.close)

    return asyncio.run(together())


def test_those_of_one_model_and_operation_are_one_batch():
    batches = []

    def run(model: str, operation: str, requests: list, wanted) -> list:
        batches.append((model, operation, requests))
        return [request * 2 for request in requests]

    found = asked_together(run, ("a", "x", 1), ("b", "x", 2), ("a", "x", 3), ("a", "y", 4))
    assert found == [2, 4, 6, 8]
    assert batches == [("a", "x", [1, 3]), ("b", "x", [2]), ("a", "y", [4])]


def test_a_refusal_is_that_of_its_request_and_a_fault_that_of_its_batch():
    def run(model: str, operation: str, requests: list, wanted) -> list:
        if operation == "fault":
            raise ZeroDivisionError
        if operation == "unknown":
            raise Refused("no such model")
        return [Refused("not this one") if request == 1 else request for request in requests]

    one, two, fault, unknown = asked_together(run, ("a", "x", 1), ("a", "x", 2), ("a", "fault", 3), ("a", "unknown", 4))
    assert str(one) == "not this one" and two == 2
    assert isinstance(fault, ZeroDivisionError) and str(unknown) == "no such model"


def test_more_than_may_wait_is_refused_and_what_was_accepted_is_answered():
    go = threading.Event()

    def run(model: str, operation: str, requests: list, wanted) -> list:
        go.wait(30)
        return requests

    async def flood() -> list:
        batcher = Batcher(run, 50)
        first = asyncio.create_task(batcher.ask("a", "x", 0, 10))
        await asyncio.sleep(0.1)  # it is being answered
        others = [asyncio.create_task(batcher.ask("a", "x", number, 10)) for number in range(1, 9)]
        await asyncio.sleep(0.1)
        go.set()
        await asyncio.to_thread(batcher.close)
        return await asyncio.gather(first, *others, return_exceptions=True)

    found = asyncio.run(flood())
    assert found[:6] == [0, 1, 2, 3, 4, 5] and all(isinstance(one, Full) for one in found[6:])


def test_a_client_that_goes_away_is_not_waited_for():
    seen = []
    go = threading.Event()

    def run(model: str, operation: str, requests: list, wanted) -> list:
        go.wait(30)
        seen.extend(requests)
        return requests

    async def leave() -> str:
        batcher = Batcher(run, 1000)
        first = asyncio.create_task(batcher.ask("a", "x", "first", 1))
        await asyncio.sleep(0.1)
        gone, stays = (asyncio.create_task(batcher.ask("a", "x", name, 1)) for name in ("gone", "stays"))
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.sleep(0.1)
        go.set()
        found = await stays
        await first
        await asyncio.to_thread(batcher.close)
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert batcher.characters == 0
        return found

    assert asyncio.run(leave()) == "stays" and seen == ["first", "stays"]


def test_work_for_which_nobody_waits_any_more_can_be_given_up():
    seen: list[bool] = []
    begun, go = threading.Event(), threading.Event()

    def run(model: str, operation: str, requests: list, wanted) -> list:
        begun.set()
        seen.append(wanted())
        go.wait(30)
        seen.append(wanted())
        return requests

    async def leave() -> None:
        batcher = Batcher(run, 1000)
        task = asyncio.create_task(batcher.ask("a", "x", 1, 1))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        await asyncio.sleep(0.05)
        go.set()
        await asyncio.to_thread(batcher.close)

    asyncio.run(leave())
    assert seen == [True, False]
