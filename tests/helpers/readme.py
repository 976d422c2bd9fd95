"""Commands as the README prints them."""

import re
import shlex

from repositories import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def command(start: str) -> list[str]:
    """The words of the README's one command that begins so, in a block or between backticks."""
    words = r"\s+".join(map(re.escape, start.split()))
    block = re.findall(rf"^ {{4}}(?:\$ )?({words}.*)", README, re.MULTILINE)
    inline = re.findall(rf"`({words}[^`]*)`", README)
    found = {" ".join(text.split()) for text in block + inline}
    assert start in found or len(found) == 1, found
    return shlex.split(start if start in found else found.pop(), comments=True)


def next_command(output: str) -> list[str]:
    """The first of the commands that a command's last line proposes."""
    return shlex.split(re.findall(r"^next: ([^,\n]+)", output, re.MULTILINE)[-1])
