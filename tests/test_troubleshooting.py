"""docs/troubleshooting.md has a row for every message of an error that a user can cause, and no other rows.

The messages are read from the source code. Each part of a message that is computed is written as `…`, on the page too.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import pytest

from repositories import ROOT

SOURCE = ROOT / "src/dapt"
PAGE = ROOT / "docs/troubleshooting.md"

SETTINGS = ("core/config.py", "launch/cluster.py")  # a ValueError in these becomes a part of a UserError
ENDINGS = {"core/config.py": ("_one_line",)}  # functions that return what follows the place of a wrong setting
WRAPPERS = {
    "…: …: …, or …": "stages/fetch.py: the place in the settings, around a message of sources/local.py",
}
SYSTEM = {  # of the operating system, to which telling/errors.py adds the path
    "No such file or directory: …",
    "Permission denied: …",
    "No space left on device",
}


@dataclass(frozen=True)
class Module:
    """A source file, its name below src/dapt, and the classes of errors, functions and constants in it by name."""

    name: str
    tree: ast.Module

    def functions(self) -> dict[str, ast.FunctionDef]:
        return {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)}

    def where_defined(self, name: str) -> list["Module"]:
        """The module itself, or that of dapt from which it imports the name."""
        imports = [node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom)]
        names = {
            f"{node.module.removeprefix('dapt.').replace('.', '/')}.py"
            for node in imports
            if node.module and name in {alias.name for alias in node.names}
        }
        return [module for module in modules() if module.name in names or (not names and module is self)]


@cache
def modules() -> tuple[Module, ...]:
    paths = sorted(SOURCE.rglob("*.py"))
    return tuple(Module(path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text())) for path in paths)


@cache
def error_classes() -> dict[str, ast.ClassDef | None]:
    """UserError and the classes derived from it, by name."""
    classes = [node for module in modules() for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    found: dict[str, ast.ClassDef | None] = {"UserError": None}
    for _ in range(3):  # levels of inheritance
        found |= {node.name: node for node in classes if {ast.unparse(base) for base in node.bases} & found.keys()}
    return found


def own_init(node: ast.ClassDef | None) -> bool:
    """Whether a class of errors makes its message itself."""
    return node is not None and any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body)


@dataclass(frozen=True)
class Scope:
    """Where a message is made: its module, and the function around it."""

    module: Module
    function: ast.AST

    def values(self, name: str) -> list[ast.expr]:
        """What is assigned to a name, in the function or else in the module."""
        for around in (self.function, self.module.tree):
            found = [
                node.value
                for node in ast.walk(around)
                if isinstance(node, ast.Assign | ast.NamedExpr)
                and name
                in {ast.unparse(target) for target in getattr(node, "targets", [getattr(node, "target", None)])}
            ]
            if found:
                return found
        return []


def texts(node: ast.expr, scope: Scope) -> list[str]:
    """The messages that an expression can be, with … for what is computed."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            pieces = [[part.value] if isinstance(part, ast.Constant) else ["…"] for part in parts]
            return ["".join(map(str, chosen)) for chosen in product(*pieces)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [one + other for one in texts(left, scope) for other in texts(right, scope)]
        case ast.IfExp(body=one, orelse=other):
            return texts(one, scope) + texts(other, scope)
        case ast.Name(id=name):
            return [text for value in scope.values(name) for text in texts(value, scope)] or ["…"]
        case ast.Call(func=ast.Name(id=name)):
            return [text for module in scope.module.where_defined(name) for text in returned(module, name)] or ["…"]
    return ["…"]


def returned(module: Module, name: str) -> list[str]:
    """The messages that a function of a module returns."""
    function = module.functions().get(name)
    values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)] if function else []
    return [text for value in values if value for text in texts(value, Scope(module, function))]


def calls(module: Module) -> Iterator[tuple[ast.Call, Scope]]:
    """Where a module makes an error for the user, each with the innermost function around it."""
    kinds = error_classes().keys() | ({"ValueError"} if module.name in SETTINGS else set())

    def search(node: ast.AST, scope: Scope) -> Iterator[tuple[ast.Call, Scope]]:
        for child in ast.iter_child_nodes(node):
            inner = Scope(module, child) if isinstance(child, ast.FunctionDef) else scope
            if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.args:
                name = child.func.id
                chosen = {
                    each.id for value in scope.values(name) for each in ast.walk(value) if isinstance(each, ast.Name)
                }
                if (name in kinds and not own_init(error_classes().get(name))) or chosen & kinds:
                    yield child, scope
            yield from search(child, inner)

    yield from search(module.tree, Scope(module, module.tree))


def in_words(text: str) -> str:
    """Without line breaks, and with one … for several in a row.

    >>> in_words("a ……\\n b")
    'a … b'
    """
    return re.sub("…+", "…", " ".join(text.split()))


@cache
def messages() -> dict[str, Module]:
    """Each message of the code, and the module in which it is made. One without a word of its own has another message in
    it, which is found where that is made."""
    found: dict[str, Module] = {}
    for module in modules():
        made = [text for call, scope in calls(module) for text in texts(call.args[0], scope)]
        made += [text for name in ENDINGS.get(module.name, ()) for text in returned(module, name)]
        for node in ast.walk(module.tree):  # a class whose errors make their message themselves
            if isinstance(node, ast.ClassDef) and node.name in error_classes() and own_init(node):
                made += [
                    text
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__"
                    for text in texts(call.args[0], Scope(module, node))
                ]
        for text in map(in_words, made):
            if re.search(r"\w", text) and text not in WRAPPERS:
                found.setdefault(text, module)
    return found


@dataclass(frozen=True)
class Row:
    message: str
    cause: str
    fix: str


def rows() -> list[Row]:
    """The rows of the tables of the page, one for each message."""
    found = []
    for line in PAGE.read_text().splitlines():
        if not line.startswith("| `"):
            continue
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert len(cells) == 3, line
        for message in cells[0].split("<br>"):
            ticks = re.fullmatch(r"(`+) ?(.*?) ?\1", message.strip())
            assert ticks, message
            found.append(Row(ticks[2], *cells[1:]))
    return found


@pytest.mark.parametrize("message", list(messages()))
def test_each_message_of_the_code_has_a_row(message):
    assert message in {row.message for row in rows()}, f"no row for a message of src/dapt/{messages()[message].name}"


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.message)
def test_each_row_is_a_message_of_the_code_and_says_what_to_do(row):
    assert row.message in messages().keys() | SYSTEM, "no code has this message"
    assert row.cause and row.fix


def test_no_message_is_explained_twice():
    found = [row.message for row in rows()]
    assert [message for message in found if found.count(message) > 1] == []


def test_the_messages_are_found():
    """Of each way in which a message is made, one example."""
    found = messages()
    assert "… is empty; fetch it again" in found  # raise UserError(f"…")
    assert "… has no column …; its columns are: …" in found  # a function returns the error
    assert "must have exactly one of steps, epochs and tokens" in found  # a ValueError of the settings
    assert any(text.startswith("…: unknown setting") for text in found)  # the end of a message about settings
    assert "… in step …; lower the learning rate, or set train.precision to fp32" in found  # a class of errors
