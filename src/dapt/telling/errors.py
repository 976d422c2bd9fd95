"""The one exception that a user can cause, and the one line that tells of it."""

import sys
from collections.abc import Callable

from dapt.telling.output import take_every_character


class UserError(Exception):
    """What is wrong, where, and how to mend it: one line, exit code 2."""


def short(error: Exception) -> str:
    """A library's error in a few words: its first line, up to a full stop if it is long; else its name.

    >>> short(ValueError("it ends\\nhere")), short(KeyError())
    ('it ends', 'KeyError')
    """
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return line if len(line) < 100 else line.split(". ")[0][:200]


def guarded(name: str, run: Callable[[], None]) -> int:
    """Call `run` and return the process's exit code: 0, or 2 behind one line on stderr.

    A full disk, a missing right or a file in the way is the user's to mend; anything else is a bug and stays
    a traceback. What is printed takes every character, whatever the output's encoding.
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
