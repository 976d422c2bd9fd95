"""One module per cleaner; profiles refer to a cleaner by the name of its module.

A cleaner has `read(files, **options)`, which yields a Record for each row of the raw files, and may set
`MINIMUM` (characters, default 30) and `LABELLED` (its rows have labels: of two equal texts of a corpus, theirs is kept).
"""

import pkgutil
from importlib import import_module
from types import ModuleType


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def cleaner(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")
