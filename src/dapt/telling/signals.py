"""SIGTERM, SIGUSR1 and ^C ask a training to stop: it writes a checkpoint and exits with a code on which a queue can requeue."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

CODE = 75  # EX_TEMPFAIL of sysexits.h: try again later
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
INTERRUPT = signal.SIGINT  # ^C, which a terminal sends to all processes of a command
ASKS = (*SIGNALS, INTERRUPT)


def listen(act: Callable[[int], None], signals: Iterable[int] = SIGNALS) -> None:
    """Call `act` with the signal's number when one of `signals` arrives, until the process ends."""
    for number in signals:
        signal.signal(number, lambda number, _: act(number))


def ignore(signals: Iterable[int] = SIGNALS) -> None:
    """Ignore these signals from now on, even while Python exits: Python would reset a handler, and a late signal would then
    determine the exit code."""
    for number in signals:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def on_signal(act: Callable[[int], None], signals: Iterable[int] = SIGNALS) -> Iterator[None]:
    """Call `act` with the signal's number when one of `signals` arrives in the block."""
    before = {number: signal.signal(number, lambda number, _: act(number)) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
