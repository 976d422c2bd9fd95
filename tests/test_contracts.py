"""The rooms of src/dapt: which may import which (contracts of import-linter in pyproject.toml), and what lies where."""

import ast
import tomllib

import pytest

from repositories import ROOT, run

HOUSE = ROOT / "src/dapt"
ROOMS = sorted(path for path in HOUSE.iterdir() if path.is_dir() and path.name != "__pycache__")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def test_imports_keep_the_contracts():
    assert "0 broken" in run(ROOT, "lint-imports", "--no-cache", "--no-logo")


def test_the_contracts_make_no_exceptions_and_name_every_room():
    assert not [contract["name"] for contract in CONTRACTS if "ignore_imports" in contract]
    rooms = {f"dapt.{room.name}" for room in ROOMS}
    (forbidden,) = [contract for contract in CONTRACTS if contract["type"] == "forbidden"]
    assert set(forbidden["source_modules"]) | set(forbidden["forbidden_modules"]) == rooms


def test_beside_the_rooms_lies_the_command_line_alone():
    files = {path.name for path in HOUSE.iterdir() if path.is_file()}
    assert files == {"__init__.py", "__main__.py", "cli.py", "actions.py"}


@pytest.mark.parametrize("folder", sorted({path.parent for path in HOUSE.rglob("*.py")}), ids=lambda path: path.name)
def test_a_folder_of_code_says_what_it_is_for(folder):
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_bytes()))
