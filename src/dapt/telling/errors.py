"""The exception for errors that a user can cause, and its one-line message."""

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
    """Call `run` and return the process's exit code: 0, or 2 after one line on stderr.

    UserErrors and errors of the operating system (a full disk, missing permission, a file in the way) are for the user to fix;
    anything else is a bug and stays a traceback. Output never fails because of its encoding.
    """
    take_every_character()
    try:
        run()
    except UserError as error:
        message = str(error)
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        message = f"{error.strerror}: {error.filename}"
    except OSError as error:
        if error.strerror is None:
            raise
        message = f"{error.strerror}" + (f": {error.filename}" if error.filename else "")
    else:
        return 0
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    return 2
