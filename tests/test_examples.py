"""The examples in docstrings, each of them run."""

import doctest
from importlib import import_module

import pytest

from repositories import ROOT

EXAMPLES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts): path.read_text().count(">>> ")
    for path in sorted((ROOT / "src/dapt").rglob("*.py"))
}


@pytest.mark.parametrize("module", [name for name, count in EXAMPLES.items() if count])
def test_the_examples_hold(module):
    assert doctest.testmod(import_module(module)) == (0, EXAMPLES[module])
