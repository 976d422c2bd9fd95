"""The exception for errors that a user can cause, and its one-line message."""

import os
import select
import sys
from collections.abc import Callable

from dapt.telling.output import take_every_character


class UserError(Exception):
    """The message says what is wrong, where, and how to fix it: one line, exit code 2."""


def short(error: Exception) -> str:
    """A library's error in a few words: its first line, up to a full stop if it is long; without a message, its type.

    >>> short(ValueError("it ends\\nhere")), short(KeyError())
    ('it ends', 'KeyError')
    """
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return line if len(line) < 100 else line.split(". ")[0][:200]


def guarded(name: str, run: Callable[[], None]) -> int:
    """Call `run` and return the process's exit code: 0, 2 after one line on stderr, or 141 if whoever read the output has read
    enough (`| head`), which is what a shell returns for a program that SIGPIPE ended.

    UserErrors, limits of this machine and errors of the operating system (a full disk, missing permission, a file in the way)
    are for the user to fix; anything else is a bug and stays a traceback. Output never fails because of its encoding.
    """
    from dapt.telling.limits import limits  # which imports what Windows lacks

    take_every_character()
    try:
        with limits():
            run()
        sys.stdout.flush()
    except UserError as error:
        message = str(error)
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        message = f"{error.strerror}: {error.filename}"
    except OSError as error:
        if error.strerror is None:
            raise
        if isinstance(error, BrokenPipeError) and reader_left():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python's own last flush would complain
            return 141
        where = error.filename2 or error.filename  # of a copy, the second one is where it was to be
        message = f"{error.strerror}" + (f": {where}" if where else "")
    else:
        return 0
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    return 2


def reader_left() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # errors are reported in any case
    return any(found & (select.POLLERR | select.POLLHUP) for _, found in poll.poll(0))
