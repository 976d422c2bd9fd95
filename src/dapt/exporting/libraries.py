"""The libraries that only some exports need (requirements-export.txt), and what they print."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from dapt.telling.errors import UserError


def refuse_missing(*names: str) -> None:
    """Refuse an export if one of these packages is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise UserError(f"the package {name} is not installed; run pip install -r requirements-export.txt")


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings of libraries are not shown: they are for programmers."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
