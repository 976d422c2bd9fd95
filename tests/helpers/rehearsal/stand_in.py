"""What the stand-ins of all sources share."""

import io
from dataclasses import dataclass

import numpy as np
import pyarrow
import pyarrow.parquet


@dataclass(frozen=True)
class StandIn:
    """The files of one repository of the hub, or of the user, and what they were built to contain.

    Of the record's numbers, `rows` are all rows, `original` are the texts that the original project's rule keeps, and the
    others are named by the quirk that they count.
    """

    place: str  # the path on the hub, or "local" for a file that the user puts into data/local
    files: dict[str, bytes]
    record: dict[str, int]


def scaled(scale: float, **counts: int) -> dict[str, int]:
    """The counts of the real file, or of a shorter one with the same quirks: at least one of each."""
    return {name: max(1, round(count * scale)) for name, count in counts.items()}


def parquet(columns: dict[str, list], times: int = 1) -> bytes:
    """A table as a Parquet file, its rows repeated some times."""
    buffer = io.BytesIO()
    table = pyarrow.table(columns)
    with pyarrow.parquet.ParquetWriter(buffer, table.schema) as writer:
        for _ in range(times):
            writer.write_table(table)
    return buffer.getvalue()


def shuffled(rows: list, rng: np.random.Generator) -> list:
    return [rows[at] for at in rng.permutation(len(rows)).tolist()]


def chosen(rng: np.random.Generator, share: float, number: int) -> list[bool]:
    """So many draws of a coin."""
    return (rng.random(number) < share).tolist()
