"""Pages of docs that a test follows as a reader would: the commands and programs in their blocks, and what these print."""

import re
from dataclasses import dataclass, field

BLOCK = re.compile(r"^```(\w*)\n((?:.*\n)*?)```$|(^ {4}.*\n(?:\n?^ {4}.*\n)*)", re.MULTILINE)
# A toy has other models and reasons to drop a row than the profile `sample`.
NAMES = {"biomed_finance", "finance", "general", "biomed", "pydocs", "base"}


@dataclass
class Step:
    """A command, or a program in Python, which is saved as `file` or run; and the lines that it prints."""

    text: str
    python: bool = False
    file: str = ""
    shown: list[str] = field(default_factory=list)


def steps(page: str) -> list[Step]:
    """All blocks of a page, in its order. A block of any other form is an error."""
    assert not re.search("^ *(```|~~~|\t)|<pre", BLOCK.sub("", page), re.MULTILINE)
    found: list[Step] = []
    for block in BLOCK.finditer(page):
        language, fenced, indented = block.groups()
        if language == "python":
            saved = re.search(r"as\s+(\S+):\n\n$", page[: block.start()])
            found.append(Step(fenced, True, saved[1] if saved else ""))
        elif language == "text":
            assert found[-1].python and not found[-1].shown, fenced
            found[-1].shown = fenced.splitlines()
        else:
            assert indented, f"a block that nothing runs: {block[0]}"
            found += commands(indented)
    return found


def commands(block: str) -> list[Step]:
    """Lines that begin with `$ ` and the output below them; a command may go over several lines with a backslash."""
    found: list[Step] = []
    for line in re.sub(r"\\\n +", "", block).splitlines():
        if line.startswith("    $ "):
            found.append(Step(line.removeprefix("    $ ").partition("  #")[0].strip()))
        else:
            assert found, f"output without a command: {line}"
            found[-1].shown.append(line[4:])
    return found


def form(line: str) -> str:
    """A pattern for lines like this one, whose figures, names of models and words in JSON may differ; `…` is anything."""
    parts = re.split(r"(…|\b[a-z_]+\b|[-+]?\d(?:[\d,.]*\d)?|(?<=[: ])\"\w+\"(?=[,}]))", line)
    return "".join(map(_form, parts))


def _form(part: str) -> str:
    if part == "…":
        return ".*"
    if part in NAMES:
        return "[a-z_]+"
    if re.fullmatch(r'"\w+"', part):
        return '"[^"]*"'
    return r"[-+]?[\d,.]+" if re.fullmatch(r"[-+]?\d[\d,.]*", part) else re.escape(part)


def lines_missing(shown: list[str], printed: str) -> list[str]:
    """Lines of the page of which nothing printed has the form, in this order."""
    place, missing = 0, []
    for line in shown:
        if line.strip() == "…":
            continue
        found = re.compile(rf"^{form(line)}$", re.MULTILINE).search(printed, place)
        place, missing = (found.end(), missing) if found else (place, [*missing, line])
    return missing
