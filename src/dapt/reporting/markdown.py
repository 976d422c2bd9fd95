"""The project's pages: Markdown, and the same rendered by markdown-it as one HTML file that fetches nothing."""

import html
import re

from markdown_it import MarkdownIt

STYLE = """body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }
th, td { border: 1px solid #ccc; padding: .3em .6em; text-align: left; }
th { background: #f4f4f4; } svg { max-width: 100%; height: auto; } code { background: #f4f4f4; }"""
PICTURE = re.compile(r'<img src="([\w.-]+)\.svg" alt="([^"]*)" ?/?>')


def rows(lines: list[list], header: list[str]) -> str:
    """A Markdown table."""
    return "\n".join(
        "| " + " | ".join(str(cell) for cell in line) + " |" for line in [header, ["---"] * len(header), *lines]
    )


def share(value: float) -> str:
    """A share in per cent; none at all is 0."""
    return f"{100 * value:.2f} %" if value else "0"


def bounds(ci95: list[float] | None, form: str = ".3f") -> str:
    """A 95 % interval; – where a single group has none."""
    return f"[{ci95[0]:{form}}, {ci95[1]:{form}}]" if ci95 else "[–]"


def page(text: str, pictures: dict[str, str]) -> str:
    """The Markdown as one self-contained HTML page."""
    body = MarkdownIt("commonmark").enable("table").render(text)

    def inside(match: re.Match) -> str:
        return f'<figure aria-label="{match[2]}">{pictures[match[1]]}</figure>'

    title = html.escape(text.split("\n")[0].lstrip("# "))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{PICTURE.sub(inside, body)}</body>\n</html>\n"
    )
