"""Headline and opening of a news article, in the layout of FiQA: the headline is the question, the opening the answer."""

import re
from collections.abc import Iterator
from pathlib import Path

from dapt.corpus.cleaners import news
from dapt.corpus.records import Record

LABELLED = True
MINIMUM = 15
SENTENCE = re.compile(r"(?<=[.!?])[\"']?\s+(?=[A-Z\"'])")
LONGEST = 400  # characters of an opening


def opening(text: str) -> str:
    """The first sentences of a text, as many as fit into LONGEST characters, but at least one."""
    kept = ""
    for sentence in SENTENCE.split(text.strip()):
        if kept and len(kept) + len(sentence) >= LONGEST:
            break
        kept = f"{kept} {sentence}".strip()
    return kept


def read(files: list[Path]) -> Iterator[Record]:
    for article in news.articles(files):
        answer = opening(news.unbroken(article["text"]))
        headline = news.unbroken(article["title"])
        drop = "no opening" if len(answer) < 10 else None
        yield Record(
            headline,
            news.group(article),
            label=answer[:100],
            drop=drop,
            fields={"question": headline, "answer": answer},
        )
