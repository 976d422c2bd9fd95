"""Cleaning: the rows of raw files are repaired and de-duplicated, and a report accounts for every row."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from dapt.core.files import json_line, whole_file
from dapt.core.rows import text_id
from dapt.corpus.cleaners import cleaner
from dapt.corpus.records import Record
from dapt.corpus.text_repair import repair
from dapt.telling.errors import UserError

LEAST = "least"  # an option of every cleaner
MINIMUM = 30  # characters, the original project's rule for most of its corpora
ORIGINAL_ROWS = {  # cleaners of a corpus → its rows in the original project's table, corrected by what its scripts read
    ("bioasq",): 2_511,
    ("biomed_en_de",): 11_145,
    ("finance_news", "financial_phrasebank"): 20_023,
    ("finance_news",): 19_912,
    ("fiqa",): 6_486,
    ("medmcqa",): 178_743,
}


class Report:
    """Counts of one corpus: rows in = rows kept + rows dropped, by reason. Also the different texts that the original
    project's rule would keep, remembered as 8 bytes of a hash each, and the number in its table, if there is one.
    """

    def __init__(self, expected: int | None = None):
        self.expected = expected
        self.rows_in, self.kept = 0, 0
        self.dropped: Counter[str] = Counter()
        self.repaired: Counter[str] = Counter()
        self.original_texts: set[bytes] = set()

    def count_original(self, text: str) -> None:
        self.original_texts.add(hashlib.blake2b(text.encode(), digest_size=8).digest())

    def as_dict(self) -> dict:
        return {
            "rows_in": self.rows_in,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "repaired": dict(sorted(self.repaired.items())),
            "original_rule": {"kept": len(self.original_texts), "expected": self.expected},
        }


def rows(records: Iterable[Record], corpus: str, minimum: int, seen: set[bytes], report: Report) -> Iterator[dict]:
    """The rows to keep, repaired; `seen` has 8 bytes for each text that the corpus already contains."""
    for record in records:
        report.rows_in += 1
        if record.original is not None:
            report.count_original(record.original)
        kinds = set(record.repaired)
        fields = {name: _repaired(value, kinds) for name, value in record.fields.items()}
        text = (
            repair(record.text, kinds)
            if isinstance(record.text, str)
            else " ".join(fields[name] for name in record.text if fields.get(name))
        )
        row_id = text_id(text)
        reason = record.drop or (
            "empty"
            if not text
            else "too short"
            if len(text) <= minimum
            else "duplicate"
            if bytes.fromhex(row_id) in seen
            else None
        )
        if reason:
            report.dropped[reason] += 1
            continue
        seen.add(bytes.fromhex(row_id))
        report.kept += 1
        row = {"id": row_id, "group": record.group, "text": text, "corpus": corpus}
        if record.split:
            row["split"] = record.split
        if record.label is not None:
            row["label"] = repair(record.label, kinds)
        report.repaired.update(kinds)
        yield row | fields


def _repaired(value: Any, kinds: set[str]) -> Any:
    if isinstance(value, str):
        return repair(value, kinds)
    return [_repaired(item, kinds) for item in value] if isinstance(value, list) else value


def minimum_of(cleaner: ModuleType, least: int | None = None) -> int:
    """A text must have more characters than this; `least`, if a source sets it, is the length of the shortest one."""
    return getattr(cleaner, "MINIMUM", MINIMUM) if least is None else least - 1


def check_options(name: str, options: dict[str, str | int | float | bool], where: str) -> None:
    """Refuse options that a cleaner does not have, and values of the wrong type."""
    takes = {LEAST: int} | {
        option.name: type(option.default) for option in list(signature(cleaner(name).read).parameters.values())[1:]
    }
    for option, value in options.items():
        if option not in takes:
            raise UserError(
                f"{where}: the cleaner {name} has no option {option!r}; its options are: {', '.join(takes)}"
            )
        if type(value) is not takes[option]:
            raise UserError(f"{where}.{option}: must be {takes[option].__name__}, not {value!r}")


def clean(corpus: str, sources: list[tuple[str, list[Path], dict]], out: Path, expected: int | None = None) -> Report:
    """Clean `sources` (cleaner, files, options) into one file; labelled ones come first, so that of equal texts theirs stay."""
    report = Report(expected)
    seen: set[bytes] = set()
    ordered = sorted(sources, key=lambda source: not getattr(cleaner(source[0]), "LABELLED", False))
    with whole_file(out) as file:
        for name, files, options in ordered:
            module = cleaner(name)
            own = {name: value for name, value in options.items() if name != LEAST}
            minimum = minimum_of(module, options.get(LEAST))
            for row in rows(module.read(files, **own), corpus, minimum, seen, report):
                file.write(json_line(row))
        if not report.kept:
            raise UserError(
                f"no row of {corpus} is left after cleaning ({report.rows_in} rows in, dropped: "
                f"{dict(report.dropped)}); check the raw files and the cleaner's options"
            )
    return report
