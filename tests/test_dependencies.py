"""What src/dapt imports, pyproject.toml declares and the requirements files pin is the same set of packages."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from repositories import ROOT
from requirement_files import FILES, canonical, requirements

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED_IN = {
    "bench": "requirements-bench.txt",
    "export": "requirements-export.txt",
    "serve": "requirements-serve.txt",
    "tracking": "requirements-dev.txt",
}  # optional dependencies → their pins
BY_OTHERS = {  # what libraries import for us: transformers for a vocabulary that is a SentencePiece model alone, torch for ONNX
    *("protobuf", "sentencepiece"),
    *("onnx", "onnxscript"),
}


def with_included(name: str) -> set[str]:
    """What one file pins, and the files that it includes with -r."""
    found = set(requirements(name))
    for included in re.findall(r"^-r (\S+)", (ROOT / name).read_text(encoding="utf-8"), flags=re.M):
        found |= with_included(included)
    return found


@cache
def installed() -> dict[str, list[str]]:
    """The packages that hold each module."""
    return dict(packages_distributions())


def imported_modules(room: str) -> set[str]:
    """The top-level names that the files of a room import, anywhere in them, without Python's own and dapt itself."""
    found = set()
    for path in (ROOT / "src/dapt").glob(f"{room}/**/*.py" if room else "*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports in this project are absolute"
                found.add(str(node.module))
    return {name.split(".")[0] for name in found} - sys.stdlib_module_names - {"dapt"}


def imported_packages(room: str) -> set[str]:
    """By the names under which they are installed: sklearn is scikit-learn. Of several packages that share a module
    (ruamel), those that are declared."""
    owners = installed()
    found = set()
    for module in imported_modules(room):
        names = {canonical(name) for name in owners.get(module, [module])}
        found |= names & (declared() | optional()) or names
    return found


def declared() -> set[str]:
    return set(map(canonical, PROJECT["dependencies"]))


def optional() -> set[str]:
    return {canonical(name) for names in PROJECT.get("optional-dependencies", {}).values() for name in names}


ROOMS = ["", *sorted(path.name for path in (ROOT / "src/dapt").iterdir() if (path / "__init__.py").is_file())]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_is_declared(room):
    assert imported_packages(room) <= declared() | optional()


def test_what_is_declared_is_imported():
    imported = {name for room in ROOMS for name in imported_packages(room)}
    assert declared() | optional() == imported | BY_OTHERS
    assert not declared() & optional()


def test_only_these_rooms_import_the_packages_of_bench_and_export():
    extras = {extra: set(map(canonical, PROJECT["optional-dependencies"][extra])) for extra in ("bench", "export")}
    rooms = {extra: {room for room in ROOMS if imported_packages(room) & names} for extra, names in extras.items()}
    assert rooms["bench"] - {"exporting"} == {"bench", "tools"} and rooms["export"] - {"bench"} == {"exporting"}


def test_what_is_declared_is_pinned():
    assert declared() <= set(requirements("requirements.txt")) | set(requirements("requirements-dvc.txt"))
    for extra, names in PROJECT.get("optional-dependencies", {}).items():
        assert set(map(canonical, names)) <= set(requirements(PINNED_IN[extra])), extra


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_and_torch_is_among_them(name):
    """A file without torch's pin could pull another build of torch than the one that is installed."""
    assert [line for line in requirements(name).values() if not re.fullmatch(r"[\w.-]+==[\w.+]+", line)] == []
    assert "torch" in with_included(name)


def test_a_package_that_several_files_pin_has_one_version():
    pins: dict[str, set[str]] = {}
    for name in FILES:
        for package, line in requirements(name).items():
            pins.setdefault(package, set()).add(line.split("==")[1])
    assert {package: versions for package, versions in pins.items() if len(versions) > 1} == {}
