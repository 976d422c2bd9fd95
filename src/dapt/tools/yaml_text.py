"""Edits YAML text without changing anything else: a new entry goes where a person would type it.

Dumping the parsed text would separate comments from what they describe; so the parser gives positions, and text is inserted
there.
"""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from dapt.telling.errors import UserError

Steps = list[str | int]  # keys and indices that lead to a node


def on_one_line(**values: object) -> CommentedMap:
    """A mapping in flow style (in braces)."""
    found = CommentedMap(values)
    found.fa.set_flow_style()
    return found


def dotted(steps: Steps) -> str:
    return ".".join(map(str, steps))


def entries(mapping: Node) -> dict[str, Node]:
    return {key.value: value for key, value in mapping.value} if isinstance(mapping, MappingNode) else {}


def node_at(text: str, where: Path, steps: Steps) -> Any:
    """The node at the end of `steps`; it must be written out, not merged in from an alias."""
    node: Any = YAML(pure=True).compose(text)
    for step in steps:
        node = node.value[step] if isinstance(step, int) else entries(node).get(step)
        if node is None:
            raise UserError(f"{where}: {step} of {dotted(steps)} is not written out there; make the change by hand")
    return node


def with_entry(text: str, where: Path, steps: Steps, name: str, value: object) -> str:
    """Append an entry to the mapping at the end of `steps`.

    >>> with_entry("a:\\n  b: 1  # why\\n# of c\\nc: 2\\n", Path("x"), ["a"], "d", [3])
    'a:\\n  b: 1  # why\\n  d:\\n  - 3\\n# of c\\nc: 2\\n'
    """
    mapping = node_at(text, where, steps)
    if not isinstance(mapping, MappingNode):
        raise UserError(f"{where}: {dotted(steps)} is not a mapping; make the change by hand")
    if mapping.flow_style:
        return _in_brackets(text, mapping, _flow({name: value})[1:-1])
    column = mapping.value[0][0].start_mark.column
    return _behind(text, mapping, _block({name: value}, column))


def with_item(text: str, where: Path, steps: Steps, value: str) -> str:
    """Append an item to the list at the end of `steps`.

    >>> with_item("a: [1, 2]  # why\\n", Path("x"), ["a"], "b"), with_item("a:\\n- 1\\nb: 2\\n", Path("x"), ["a"], "b")
    ('a: [1, 2, b]  # why\\n', 'a:\\n- 1\\n- b\\nb: 2\\n')
    """
    items = node_at(text, where, steps)
    if not isinstance(items, SequenceNode):
        raise UserError(f"{where}: {dotted(steps)} is not a list; make the change by hand")
    if items.flow_style:
        return _in_brackets(text, items, _flow(value))
    return _behind(text, items, _block([value], items.start_mark.column))


def without_entry(text: str, where: Path, steps: Steps, name: str) -> str:
    """Remove an entry from the mapping at the end of `steps`, if it exists.

    >>> without_entry("a:\\n  b:\\n  - 1\\n  # of c\\n  c: 2\\n", Path("x"), ["a"], "b")
    'a:\\n  # of c\\n  c: 2\\n'
    """
    mapping = node_at(text, where, steps)
    pairs = mapping.value if isinstance(mapping, MappingNode) else []
    return _without(text, mapping, pairs, [key.value for key, _ in pairs], name)


def without_item(text: str, where: Path, steps: Steps, value: str) -> str:
    """Remove an item from the list at the end of `steps`, if it exists.

    >>> without_item("a: [b, c]\\n", Path("x"), ["a"], "b"), without_item("a:\\n- b\\n- c\\n", Path("x"), ["a"], "c")
    ('a: [c]\\n', 'a:\\n- b\\n')
    """
    items = node_at(text, where, steps)
    nodes = items.value if isinstance(items, SequenceNode) else []
    return _without(text, items, [(node, node) for node in nodes], [node.value for node in nodes], value)


def _without(text: str, parent: Any, spans: list[tuple[Node, Node]], names: list[str], name: str) -> str:
    """`spans` are the first and last node of each child, `names` their names."""
    if name not in names:
        return text
    place = names.index(name)
    first, last = spans[place]
    if not parent.flow_style:
        return text[: _line_start(text, first.start_mark.index)] + text[_line_end(text, end_of(last)) :]
    if place + 1 < len(spans):
        return text[: first.start_mark.index] + text[spans[place + 1][0].start_mark.index :]
    start = end_of(spans[place - 1][1]) if place else first.start_mark.index
    return text[:start] + text[end_of(last) :]


def _in_brackets(text: str, node: Node, written: str) -> str:
    last = node.value[-1] if node.value else None
    end = end_of(last[1] if isinstance(last, tuple) else last) if last else node.end_mark.index - 1
    return f"{text[:end]}{', ' * bool(node.value)}{written}{text[end:]}"


def _behind(text: str, node: Node, written: str) -> str:
    end = _line_end(text, end_of(node))
    return text[:end] + "\n" * (not text[:end].endswith("\n")) + written + text[end:]


def end_of(node: Node) -> int:
    """Where the last token of a node ends; a block's own end mark is at the start of what follows it."""
    while isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        node = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
    return node.end_mark.index


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """The position after the end of the line."""
    if at and text[at - 1] == "\n":  # the end of a block scalar
        return at
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _block(value: object, indent: int) -> str:
    yaml, written = YAML(), io.StringIO()
    yaml.width = 4096
    yaml.dump(value, written)
    return "".join(f"{' ' * indent}{line}" for line in written.getvalue().splitlines(keepends=True))


def _flow(value: object) -> str:
    yaml, written = YAML(), io.StringIO()
    yaml.default_flow_style, yaml.width = True, 4096
    yaml.dump(value, written)
    return written.getvalue().removesuffix("...\n").strip()  # the document end marker after a single value
