"""What a row of a table contains for a task: its label, or its question with options and answer; and its side."""

import json
from dataclasses import dataclass, field

from dapt.core.rows import scalar_name
from dapt.telling.errors import UserError

SIDES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
NOT_SAID = -1  # the number of the first option is not set


@dataclass(frozen=True)
class Columns:
    """The columns of a table that a task reads; unused ones are empty. `options` are several columns, or one of lists;
    `first` is the number of the first option, 0 or 1, if the answers are numbers."""

    label: str = ""
    split: str = ""
    question: str = ""
    options: tuple[str, ...] = ()
    answer: str = ""
    first: int = NOT_SAID

    def names(self) -> tuple[str, ...]:
        """All columns but the question's, which must contain text."""
        return tuple(filter(None, (self.label, self.split, *self.options, self.answer)))


@dataclass
class Asked:
    """What a row contains for its task; `lacks` is the reason why it cannot be used."""

    label: str | None = None
    split: str | None = None
    fields: dict = field(default_factory=dict)
    lacks: str | None = None


def asked(row: dict, columns: Columns, where: str) -> Asked:
    """What a row contains in these columns; `where` names the row in error messages."""
    found = Asked(split=_side(row.get(columns.split), where))
    if columns.label:
        found.label = _words(row.get(columns.label))
        found.lacks = None if found.label else "no label"
    if columns.question:
        found.fields["question"] = row.get(columns.question)
        found.lacks = found.lacks or (None if isinstance(row.get(columns.question), str) else "not text")
    if columns.options:
        found.fields["options"] = _options(row, columns.options)
        found.lacks = found.lacks or (None if len(found.fields["options"]) > 1 else "no options")
    if columns.answer:
        found.fields["answer"] = answer = row.get(columns.answer)
        if columns.options:
            found.fields["answer"] = answer = _place(answer, found.fields["options"], columns.first, where)
        elif not isinstance(answer, str) or not answer.strip():
            answer = None
        found.lacks = found.lacks or ("no answer" if answer is None else None)
    return found


def _words(value: object) -> str | None:
    return (scalar_name(value) or "").strip() or None


def _side(value: object, where: str) -> str | None:
    name = _words(value)
    if name is not None and name.lower() not in SIDES:
        raise UserError(
            f"{where}: unknown side {name!r}; the column of sides must contain {', '.join(SIDES)}, or nothing"
        )
    return name and SIDES[name.lower()]


def _options(row: dict, columns: tuple[str, ...]) -> list[str]:
    """A row's options. Empty ones at the end are left out; with an empty one between others, the row has no options."""
    values = [row.get(column) for column in columns]
    if len(columns) == 1:
        values = _list(values[0])
    options = [_words(value) for value in values]
    while options and options[-1] is None:
        options.pop()
    return [] if None in options else [option for option in options if option is not None]


def _list(value: object) -> list:
    """A list, or a list that is written as JSON in a cell of text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return value if isinstance(value, list) else []


def _place(answer: object, options: list[str], first: int, where: str) -> int | None:
    """The index of the right option, counted from 0. The answer may be its text or a letter, or a number if the number of
    the first option is known. None if the row does not tell.

    >>> _place("B", ["yes", "no"], NOT_SAID, ""), _place("no", ["yes", "no"], NOT_SAID, ""), _place(2, ["yes", "no"], 1, "")
    (1, 1, 1)
    """
    name = _words(answer)
    if name is None or not options:
        return None
    if first == NOT_SAID:
        if options.count(name) == 1:
            return options.index(name)
        if name in options:  # more than once: it is not clear which one is meant
            return None
        if len(name) == 1 and name.lower() in LETTERS[: len(options)]:
            return LETTERS.index(name.lower())
        raise UserError(
            f"{where}: the answer {name!r} is neither one of the options nor a letter; if answers are numbers, give the "
            "number of the first option: --option first=0 or first=1"
        )
    if name.isdecimal() and int(name) - first in range(len(options)):
        return int(name) - first
    raise UserError(
        f"{where}: the answer is {name!r}, but the options are numbered from {first} to {first + len(options) - 1}; "
        "correct the answer or --option first"
    )
