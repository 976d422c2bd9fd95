"""`dapt clean X`: data/raw/X → data/processed/X.jsonl and metrics/clean/X.json, every row accounted for.

`dapt clean --cleaner NAME --raw FILE --out FILE.jsonl --report FILE.json` does the same for a single raw file, with
`--option name=value` for the options of a source.
"""

from pathlib import Path

from dapt.core import config
from dapt.core.files import made_from, whole_file, write_json
from dapt.core.paths import METRICS, PROCESSED, RAW, below
from dapt.corpus.cleaning import ORIGINAL_ROWS, Report, check_options, clean


def run(corpus: str) -> None:
    params = config.load()
    sources = params.active.corpora[corpus]
    out = PROCESSED / f"{corpus}.jsonl"
    if params.corpora[corpus].enabled:
        inputs = [
            (source.cleaner, [RAW / corpus / source.name / file for file in below(source.files)], source.options)
            for source in sources
        ]
        report = clean(corpus, inputs, out, ORIGINAL_ROWS.get(tuple(source.cleaner for source in sources)))
    else:
        report = Report()
        with whole_file(out):
            pass
    write_json(METRICS / "clean" / f"{corpus}.json", report.as_dict() | {"made_from": made_from(RAW / corpus)})
    why = "; ".join(
        f"{what}: {', '.join(f'{count:,} {reason}' for reason, count in counts.most_common())}"
        for what, counts in (("dropped", report.dropped), ("repaired", report.repaired))
        if counts
    )
    print(f"{corpus}: {report.rows_in:,} rows in, {report.kept:,} kept{f' ({why})' * bool(why)}")


def run_file(name: str, raw: Path, out: Path, report_path: Path, options: dict) -> None:
    check_options(name, options, "--option")
    report = clean(raw.stem, [(name, [raw], options)], out)
    write_json(report_path, report.as_dict())
    print(f"{raw}: {report.rows_in:,} rows in, {report.kept:,} kept")
