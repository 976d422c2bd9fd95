"""The Python examples of a page in Markdown, run as a reader would run them."""

import io
import re
from contextlib import redirect_stdout


def examples(page: str) -> list[tuple[str, str]]:
    """Each block of Python, and what the block of text right behind it says that it prints; empty where there is none."""
    return re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", page, flags=re.MULTILINE | re.DOTALL)


def printed(code: str) -> str:
    """What it prints in the folder in which the test stands."""
    with redirect_stdout(io.StringIO()) as found:
        exec(compile(code, "example", "exec"), {})
    return found.getvalue()
