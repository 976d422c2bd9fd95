"""`dapt clean X`: data/raw/X → data/processed/X.jsonl and metrics/clean/X.json, every row accounted for.

`dapt clean --cleaner NAME --raw FILE --out FILE.jsonl --report FILE.json` does the same for any one raw file.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from dapt.core import config
from dapt.corpus.cleaners import cleaner
from dapt.telling.errors import UserError
from dapt.core.files import json_line, made_from, whole_file, write_json
from dapt.core.paths import METRICS, PROCESSED, RAW
from dapt.corpus.records import Record, text_id
from dapt.corpus.text_repair import repair

MINIMUM = 30  # characters, the seed's rule for most of its corpora
SEED = {  # cleaners of a corpus of the seed → the rows of the seed's table, as mended by what its scripts really read
    ("bioasq",): 2_511, ("biomed_en_de",): 11_145, ("finance_news", "financial_phrasebank"): 20_023,
    ("finance_news",): 19_912, ("fiqa",): 6_486, ("medmcqa",): 178_743,
}


class Report:
    """Counts of one corpus: rows in = rows kept + rows dropped by reason; beside it the different texts that the
    seed's own rule would keep, 8 bytes of a hash remembered for each, and what the seed's table says, where it does.
    """

    def __init__(self, expected: int | None = None):
        self.expected = expected
        self.rows_in, self.kept = 0, 0
        self.dropped, self.repaired = Counter(), Counter()
        self.seed_texts: set[bytes] = set()

    def count_seed(self, text: str) -> None:
        self.seed_texts.add(hashlib.blake2b(text.encode(), digest_size=8).digest())

    def as_dict(self) -> dict:
        return {"rows_in": self.rows_in, "kept": self.kept, "dropped": dict(sorted(self.dropped.items())),
                "repaired": dict(sorted(self.repaired.items())),
                "seed_rule": {"kept": len(self.seed_texts), "expected": self.expected}}


def rows(records: Iterable[Record], corpus: str, minimum: int, seen: set[bytes], report: Report) -> Iterator[dict]:
    """The rows worth keeping, repaired; `seen` holds 8 bytes for each text that the corpus already has."""
    for record in records:
        report.rows_in += 1
        if record.seed is not None:
            report.count_seed(record.seed)
        kinds = set(record.repaired)
        fields = {name: _repaired(value, kinds) for name, value in record.fields.items()}
        text = (repair(record.text, kinds) if isinstance(record.text, str) else
                " ".join(fields[name] for name in record.text if fields.get(name)))
        row_id = text_id(text)
        reason = record.drop or ("empty" if not text else "too short" if len(text) <= minimum else
                                 "duplicate" if bytes.fromhex(row_id) in seen else None)
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


def _repaired(value, kinds: set[str]):
    if isinstance(value, str):
        return repair(value, kinds)
    return [_repaired(item, kinds) for item in value] if isinstance(value, list) else value


def clean(corpus: str, sources: list[tuple[str, list[Path], dict]], out: Path, expected: int | None = None) -> Report:
    """Clean `sources` (cleaner, files, options) into one file; labelled sources first, so that their rows stay."""
    report, seen = Report(expected), set()
    ordered = sorted(sources, key=lambda source: not getattr(cleaner(source[0]), "LABELLED", False))
    with whole_file(out) as file:
        for name, files, options in ordered:
            module = cleaner(name)
            for row in rows(module.read(files, **options), corpus, getattr(module, "MINIMUM", MINIMUM), seen, report):
                file.write(json_line(row))
        if not report.kept:
            raise UserError(f"no row of {corpus} is worth keeping ({report.rows_in} rows in, dropped: "
                            f"{dict(report.dropped)}); look at the raw files")
    return report


def run(corpus: str) -> None:
    params = config.load()
    sources = params.active.corpora[corpus]
    out = PROCESSED / f"{corpus}.jsonl"
    if params.corpora[corpus].enabled:
        inputs = [(source.cleaner, [RAW / corpus / source.name / Path(file).name for file in source.files],
                   source.options) for source in sources]
        report = clean(corpus, inputs, out, SEED.get(tuple(source.cleaner for source in sources)))
    else:
        report = Report()
        with whole_file(out):
            pass
    write_json(METRICS / "clean" / f"{corpus}.json", report.as_dict() | {"made_from": made_from(RAW / corpus)})
    print(f"{corpus}: {report.rows_in} rows in, {report.kept} kept, dropped {dict(report.dropped)}, "
          f"repaired {dict(report.repaired)}")


def run_file(name: str, raw: Path, out: Path, report_path: Path) -> None:
    report = clean(raw.stem, [(name, [raw], {})], out)
    write_json(report_path, report.as_dict())
    print(f"{raw}: {report.rows_in} rows in, {report.kept} kept")
