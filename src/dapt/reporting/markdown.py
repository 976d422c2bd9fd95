"""Pieces of Markdown that the report and its cards are made of."""

import re

NOTHING = {"", "–", "0"}  # a cell that says nothing
MARKS = re.compile(r"([\\`*_\[\]<>&~])")  # what Markdown does not print as it is


def rows(lines: list[list], header: list[str]) -> str:
    """A Markdown table. A cell may contain Markdown, but a vertical bar in it is only that.

    >>> print(rows([["a|b", 1]], ["name", "rows"]))
    | name | rows |
    | --- | --- |
    | a\\|b | 1 |
    """
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
        for line in [header, ["---"] * len(header), *lines]
    )


def telling(lines: list[list], header: list[str]) -> str:
    """The table without the columns that say nothing in any row; the first column always stays.

    >>> print(telling([["a", "–", 1], ["b", 0, 2]], ["name", "lost", "rows"]))
    | name | rows |
    | --- | --- |
    | a | 1 |
    | b | 2 |
    """
    columns = list(zip(*lines))
    stay = [at for at, cells in enumerate(columns) if not at or not {str(cell) for cell in cells} <= NOTHING]
    return rows([[line[at] for at in stay] for line in lines], [header[at] for at in stay])


def as_text(text: str) -> str:
    """Any text as Markdown that prints it as it is, on one line.

    >>> print(as_text("a_b <c>"))
    a\\_b \\<c\\>
    """
    return MARKS.sub(r"\\\1", " ".join(text.split()))


def folded(summary: str, body: str) -> str:
    """Details that a reader opens."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def share(value: float) -> str:
    """A share in per cent; none at all is 0."""
    return f"{100 * value:.2f} %" if value else "0"


def bounds(ci95: list[float] | None, form: str = ".3f") -> str:
    """A 95 % interval; – where a single group has none."""
    return f"[{ci95[0]:{form}}, {ci95[1]:{form}}]" if ci95 else "[–]"
