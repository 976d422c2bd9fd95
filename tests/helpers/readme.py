"""Commands as the README prints them."""

import re
import shlex

from repositories import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def command(start: str) -> list[str]:
    """The words of the README's one command that begins so, in a block or between backticks."""
    found = set(re.findall(rf"(?:^ +(?:\$ )?|`)({re.escape(start)}[^`\n]*)", README, re.MULTILINE))
    assert start in found or len(found) == 1, found
    return shlex.split(start if start in found else found.pop(), comments=True)


def next_command(output: str) -> list[str]:
    """The first of the commands that a command's last line proposes."""
    return shlex.split(re.findall(r"^next: ([^,\n]+)", output, re.MULTILINE)[-1])
