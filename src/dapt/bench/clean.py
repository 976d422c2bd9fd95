"""`dapt bench clean`: seconds to clean synthetic versions of all six corpora, compared with a script that uses `datasets`.

The script applies every repair rule to every text with `map`, filters by length, drops duplicates, and writes JSON lines; it
does not repair cp949, does not detect German, and counts nothing. The two run in turns, each time in a new process, on one
core; imports before the first corpus are not timed.
"""

import html
import json
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import ftfy

from dapt.bench import standin
from dapt.bench.turns import MEGA, apart, peak_mb
from dapt.core.files import read_lines
from dapt.core.paths import PROCESSED
from dapt.corpus.cleaners import cleaner
from dapt.corpus.cleaners.biomed_en_de import english_side
from dapt.corpus.cleaning import clean, minimum_of
from dapt.corpus.text_repair import (
    BLOCK,
    EMAIL,
    FTFY,
    HANDLE,
    INLINE,
    INVISIBLE,
    MARKER,
    NO_TEXT,
    SPACES,
    URL,
    WHITE,
)
from dapt.telling.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

RULES = (
    (SPACES, " "),
    (INVISIBLE, ""),
    (NO_TEXT, " "),
    (INLINE, ""),
    (BLOCK, " "),
    (MARKER, r" \1 "),
    (EMAIL, " "),
    (URL, " "),
    (HANDLE, "@user"),
    (WHITE, " "),
)
PARTS = {
    "bioasq": ["context"],
    "biomed_en_de": ["text"],
    "finance_news": ["newscontents"],
    "financial_phrasebank": ["sentence"],
    "fiqa": ["instruction", "input"],
    "medmcqa": ["question", "exp"],
}
OTHERS = {
    "financial_phrasebank": ["label"],
    "fiqa": ["output"],
    "medmcqa": ["opa", "opb", "opc", "opd", "cop", "subject_name", "topic_name"],
}  # columns written in addition to the text


def ours(corpus: str, files: dict[str, list[Path]], out: Path) -> None:
    clean(corpus, [(name, paths, {}) for name, paths in files.items()], out)


def usual(corpus: str, files: dict[str, list[Path]], out: Path) -> None:
    from datasets import concatenate_datasets

    seen: set[str] = set()

    def is_new(text: str) -> bool:
        before = len(seen)
        seen.add(text)
        return len(seen) > before

    rows = concatenate_datasets([_usually_read(name, paths, out.with_suffix("")) for name, paths in files.items()])
    rows = rows.filter(is_new, input_columns="text")
    rows.to_json(out, force_ascii=False)


def _usually_read(name: str, paths: list[Path], cache: Path) -> "Dataset":
    from datasets import load_dataset

    form = paths[0].suffix[1:]
    rows = load_dataset(
        form,
        data_files=[str(path) for path in paths],
        split="train",
        cache_dir=str(cache),
        **({"field": "data"} if name == "bioasq" else {}),
    )
    if name == "bioasq":
        rows = rows.map(_contexts, batched=True, remove_columns=rows.column_names)
    if name == "biomed_en_de":
        rows = rows.map(lambda row: {"text": english_side(row["text"])})
    minimum = minimum_of(cleaner(name))
    rows = rows.select_columns(PARTS[name] + OTHERS.get(name, [])).map(lambda row: _repaired(row, PARTS[name]))
    return rows.filter(lambda text: len(text) > minimum, input_columns="text")


def _contexts(batch: dict) -> dict:
    return {"context": [paragraph["context"] for article in batch["paragraphs"] for paragraph in article]}


def _repaired(row: dict, parts: list[str]) -> dict:
    row = {column: _fixed(value) if isinstance(value, str) else value for column, value in row.items()}
    return row | {"text": " ".join(row[part] for part in parts if row[part])}


def _fixed(text: str) -> str:
    text = html.unescape(ftfy.fix_text(text, FTFY))
    for pattern, by in RULES:
        text = pattern.sub(by, text)
    return text.strip()


def timed(way: Callable, raw: Path) -> dict:
    """Seconds, remaining rows and MB of text for each corpus, and the process's peak memory in MB."""
    import pyarrow

    pyarrow.set_cpu_count(1)
    if way is usual:
        import datasets

        datasets.disable_progress_bars()
        datasets.disable_caching()  # otherwise the news would be cleaned for one corpus and only copied for the other
    seconds, sizes = {}, {}
    with TemporaryDirectory() as work:
        outs = {corpus: Path(work) / f"{corpus}.jsonl" for corpus in standin.SOURCES}
        for corpus, sources in standin.SOURCES.items():
            files = {name: [raw / name / file for file in names] for name, names in sources.items()}
            start = time.perf_counter()
            way(corpus, files, outs[corpus])
            seconds[corpus] = time.perf_counter() - start
        peak = peak_mb()
        for corpus, out in outs.items():
            lengths = [len(row["text"].encode()) for row in read_lines(out)]
            sizes[corpus] = {"rows": len(lengths), "mb": sum(lengths) / MEGA}
    return {"seconds": seconds, "sizes": sizes, "peak_mb": peak}


def _make(raw: Path, scale: float) -> None:
    standin.write(raw, standin.embedded(PROCESSED), scale)


def measure(scale: float, rounds: int) -> list[dict]:
    """One line per corpus and one for all: median seconds of both."""
    with TemporaryDirectory() as place:
        raw = Path(place)
        apart(_make, raw, scale)
        runs = [(apart(timed, ours, raw), apart(timed, usual, raw)) for _ in range(rounds)]
    lines = [_line(corpus, [corpus], runs) for corpus in standin.SOURCES]
    peaks = [round(max(run["peak_mb"] for run in side)) for side in zip(*runs)]
    return [*lines, _line("all", list(standin.SOURCES), runs) | {"peak_mb": peaks[0], "peer_peak_mb": peaks[1]}]


def _line(name: str, corpora: list[str], runs: list[tuple[dict, dict]]) -> dict:
    mine, peer = (
        statistics.median(sum(run["seconds"][corpus] for corpus in corpora) for run in side) for side in zip(*runs)
    )
    rows, mb = (sum(runs[0][0]["sizes"][corpus][size] for corpus in corpora) for size in ("rows", "mb"))
    return {
        "name": f"clean/{name}",
        "ours": round(mine, 3),
        "peer": round(peer, 3),
        "ratio": round(peer / mine, 2),
        "unit": "s",
        "rows": rows,
        "mb": round(mb, 2),
    }


def run(scale: float, rounds: int, as_json: bool) -> None:
    if find_spec("datasets") is None:
        raise UserError("the package datasets is not installed; run pip install -r requirements-bench.txt")
    if scale < 0.001 or rounds < 1:
        raise UserError("--scale must be at least 0.001, and --rounds at least 1")
    for line in measure(scale, rounds):
        print(
            json.dumps(line)
            if as_json
            else f"{line['name']}: {line['ours']:.2f} s, with datasets {line['peer']:.2f} s, {line['ratio']:.1f} times as "
            f"long; {line['rows']} rows, {line['mb']:.1f} MB of text"
            + (f"; peak memory {line['peak_mb']} and {line['peer_peak_mb']} MB" if "peak_mb" in line else "")
        )
