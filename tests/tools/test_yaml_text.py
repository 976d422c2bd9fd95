"""Edits of YAML text against the parser: what is read is what was asked for, and every other line stays as it was."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from dapt.telling.errors import UserError
from dapt.tools.yaml_text import with_entry, with_item, without_entry, without_item

FILE = Path("x.yaml")
STYLES = {
    "block": "# of all\nm:\n  # of a\n  a:\n  - 1  # why\n  # of b\n  b: {c: 2}\n# of l\nl:\n- x\n- y\n# the end\nz: 0\n",
    "indented": "m:\n    a:\n      - 1\n    b:\n        c: 2\n\nl:\n  - x  # first\n\n  - y\nz: 0\n",
    "flow": "m: {a: [1], b: {c: 2}}  # why\nl: [x, y]  # of l\nz: 0\n",
    "long": "m: {a: [1],\n    b: {c: 2}}\nl:\n  [\n    x,\n    y,\n  ]\nz: |\n  0\n",
    "no end of line": "z: 0\nl:\n- x\n- y\nm:\n  a:\n  - 1\n  b:\n    c: 2",
    "a text of lines": "m:\n  a:\n  - 1\n  b:\n    c: |\n      2\nl:\n- x\n- >-\n  y\nz: 0\n",
}


def read(text: str) -> dict:
    return YAML(typ="safe", pure=True).load(text)


def kept(before: str, after: str) -> bool:
    """Whether all characters of the one stand in the other in their order."""
    characters = iter(after)
    return all(character in characters for character in before)


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("value", [[{"name": "law", "options": {"whole": True}}], {"k": "a: b"}, "yes", 3])
def test_what_is_added_is_read_and_everything_else_stays_and_removed_it_is_as_before(text, value):
    before = read(text)
    added = with_entry(with_item(text, FILE, ["l"], "law"), FILE, ["m"], "law", value)
    assert read(added) == before | {"m": before["m"] | {"law": value}, "l": [*before["l"], "law"]}
    assert kept(text, added)
    removed = without_entry(without_item(added, FILE, ["l"], "law"), FILE, ["m"], "law")
    assert read(removed) == before and removed.rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_the_first_and_the_last_are_removed_alone(text):
    before = read(text)
    for name in before["m"]:
        left = {key: value for key, value in before["m"].items() if key != name}
        assert read(without_entry(text, FILE, ["m"], name)) == before | {"m": left}
    for value in before["l"]:
        assert read(without_item(text, FILE, ["l"], value)) == before | {"l": [x for x in before["l"] if x != value]}
    assert without_entry(text, FILE, ["m"], "law") == without_item(text, FILE, ["l"], "law") == text


def test_what_is_empty_takes_a_first_one():
    assert read(with_item("l: []\n", FILE, ["l"], "law")) == {"l": ["law"]}
    assert read(with_entry("m: {}\n", FILE, ["m"], "law", [1])) == {"m": {"law": [1]}}


@pytest.mark.parametrize("steps", [["n"], ["m", "b", "c"], ["l"]])
def test_where_no_mapping_stands_it_is_to_be_done_by_hand(steps):
    with pytest.raises(UserError, match="x.yaml: .* make the change by hand"):
        with_entry(STYLES["block"], FILE, steps, "law", 1)
    with pytest.raises(UserError, match="x.yaml: .* make the change by hand"):
        with_item(STYLES["block"], FILE, ["m"], "law")
