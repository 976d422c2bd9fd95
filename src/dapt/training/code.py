"""Finds the code that a training's results depend on, by following imports; its hashes are part of the resume key."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]  # the package dapt
TELLS = "dapt.telling"  # messages do not affect results, so a run can be resumed after a message was reworded
PYTHON = ".".join(map(str, sys.version_info[:2]))  # syntax trees differ between Python versions
LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate")


def deciding(module: str) -> dict[str, str]:
    """What the results of a training that starts in a module of dapt depend on: module → hash of its code, for the module and
    everything in dapt that it imports, directly or indirectly, and library → version."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name.startswith(TELLS):
            continue
        tree = ast.parse(_file(name).read_bytes())
        found[name] = code_hash(tree)
        waiting += _imports(tree)
    return dict(sorted(found.items())) | {"python": PYTHON} | {name: version(name) for name in LIBRARIES}


def code_hash(tree: ast.Module) -> str:
    """Hash of what a module does: comments, docstrings and formatting do not count.

    >>> code_hash(ast.parse("x = 1  # why")) == code_hash(ast.parse("x=1")) != code_hash(ast.parse("x = 2"))
    True
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    loaded = sys.modules.get(module)  # a kind of task that was loaded from another folder
    return Path(loaded.__file__) if loaded and loaded.__file__ and not path.is_file() else path


def _imports(tree: ast.Module) -> Iterator[str]:
    """The modules of dapt that a module imports, at the top or inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dapt":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _file(inner).is_file() else str(node.module)
