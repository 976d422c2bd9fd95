"""Batches the requests of many clients: as soon as a thread is free, it takes those that wait for one model and operation."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CHARACTERS = 30_000  # per batch: about 8,000 tokens
MOST = 256  # requests per batch
GRACE = 30  # seconds in which accepted requests are still answered when the server is asked to stop
WAIT = 0.002  # seconds that the first request of a batch waits for others


class Full(Exception):
    """Too many requests are waiting."""


Run = Callable[[str, str, list[Any], Callable[[], bool]], list[Any]]


@dataclass
class Job:
    """A waiting request; its answer is given to the future `done`, in the caller's event loop."""

    model: str
    operation: str
    request: Any
    size: int  # characters
    done: asyncio.Future
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def give(self, result: Any) -> None:
        def give() -> None:
            if self.done.done():  # the client has disconnected
                return
            if isinstance(result, BaseException):
                self.done.set_exception(result)
            else:
                self.done.set_result(result)

        self.loop.call_soon_threadsafe(give)


def wanted(batch: list[Job]) -> Callable[[], bool]:
    """A function that tells whether any client still waits for one of these."""
    return lambda: not all(job.done.done() for job in batch)


class Batcher:
    """`run(model, operation, requests, wanted)` returns a result or an exception for each request; only one thread calls it.
    `wanted()` says whether any client still waits for them."""

    def __init__(self, run: Run, most_characters: int, told: Callable[[int], object] = int):
        """`told` is called with the number of requests in each batch."""
        self.run, self.most_characters, self.told = run, most_characters, told
        self.waiting: deque[Job] = deque()
        self.characters = 0  # of all waiting requests
        self.change = threading.Condition()
        self.ends = False
        self.thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self.thread.start()

    async def ask(self, model: str, operation: str, request: Any, size: int) -> Any:
        """The result of a request; raises Full if too many others are waiting."""
        job = Job(model, operation, request, size, asyncio.get_running_loop().create_future())
        with self.change:
            if self.characters + size > self.most_characters and self.waiting:
                raise Full
            self.waiting.append(job)
            self.characters += size
            self.change.notify()
        return await job.done

    def close(self) -> None:
        """Answer the waiting requests, then end; requests that take longer than GRACE end with the process."""
        with self.change:
            self.ends = True
            self.change.notify()
        self.thread.join(GRACE)

    def _work(self) -> None:
        while batch := self._next():
            first = batch[0]
            try:
                results = self.run(first.model, first.operation, [job.request for job in batch], wanted(batch))
            except Exception as error:  # a refusal of all requests, or a bug, which must not end the thread
                results = [error] * len(batch)
            self.told(len(batch))
            for job, result in zip(batch, results, strict=True):
                job.give(result)

    def _next(self) -> list[Job]:
        """The jobs of the next batch: those with the model and operation of the oldest one; empty at the end."""
        with self.change:
            self.change.wait_for(lambda: self.waiting or self.ends)
            if not self.waiting:
                return []
            until = time.monotonic() + WAIT
            while not self._is_full() and (left := until - time.monotonic()) > 0 and not self.ends:
                self.change.wait(left)
            first, size = self.waiting[0], 0
            batch: list[Job] = []
            rest: deque[Job] = deque()
            for job in self.waiting:
                alike = (job.model, job.operation) == (first.model, first.operation)
                if job.done.done():
                    self.characters -= job.size
                elif alike and (not batch or (size + job.size <= CHARACTERS and len(batch) < MOST)):
                    batch.append(job)
                    size += job.size
                    self.characters -= job.size
                else:
                    rest.append(job)
            self.waiting = rest
        return batch or self._next()

    def _is_full(self) -> bool:
        return sum(job.size for job in self.waiting) >= CHARACTERS or len(self.waiting) >= MOST
