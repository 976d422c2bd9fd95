"""`dapt split`: data/processed → data/split, so that what a model is judged on is in no training set.

1. A row's side is decided by the hash of its group: adding a corpus moves no document, and all rows of one source
   record lie on one side.
2. Held-out documents are de-duplicated among themselves, then validation documents against those and the tasks' test
   rows, then training documents against all of these: equal texts, near duplicates (MinHash over pairs of words,
   Broder 1997), and any run of `overlap` words shared with a held-out document or a test row, as in GPT-3's
   decontamination (Brown et al. 2020, appendix C).
3. Labelled corpora feed tasks only and lose no row; a row marked test by its source is in no pre-training set.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from rensa import RMinHash, RMinHashLSH

from dapt import config
from dapt.config import Params, Split, Task
from dapt.errors import UserError
from dapt.files import made_from, read_lines, whole_folder, write_json, write_lines
from dapt.paths import METRICS, PROCESSED, SPLIT
from dapt.records import text_id

SIDES = ("train", "valid", "heldout")
WORD = re.compile(r"\w+")
PERMUTATIONS, BANDS = 128, 32  # four hashes a band: pairs at Jaccard 0.7 are found with probability 1 - (1 - .7^4)^32


def side(group: str, split: Split) -> str:
    """heldout, valid or train, from the first 64 bits of the SHA-256 of the group."""
    place = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    return "heldout" if place < split.heldout else "valid" if place < split.heldout + split.valid else "train"


def words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def pairs(words: list[str]) -> list[str]:
    """What near duplicates are measured on: the pairs of neighbouring words, or the word of a one-word text."""
    return [f"{a} {b}" for a, b in zip(words, words[1:])] or words


def runs(words: list[str], length: int) -> Iterator[int]:
    """A hash of each run of `length` words; equal within one process."""
    return (hash(tuple(words[start:start + length])) for start in range(len(words) - length + 1))


class Seen:
    """What has been put on a side already, found again by equality, likeness or a shared run of words."""

    def __init__(self, split: Split):
        self.split = split
        self.texts: set[str] = set()
        self.index = RMinHashLSH(split.similar, PERMUTATIONS, BANDS)
        self.sketches: list[RMinHash] = []
        self.runs: set[int] = set()

    def _sketch(self, words: list[str]) -> RMinHash:
        sketch = RMinHash(PERMUTATIONS, 0)
        sketch.update(pairs(words))
        return sketch

    def add(self, text: str, guarded: bool) -> None:
        """Remember a text; a guarded one (held out, or a test row) shares no run of words with what comes later."""
        self._insert(text_id(text), words(text), self._sketch(words(text)), guarded)

    def _insert(self, name: str, tokens: list[str], sketch: RMinHash, guarded: bool) -> None:
        self.texts.add(name)
        self.index.insert(len(self.sketches), sketch)
        self.sketches.append(sketch)
        if guarded:
            self.runs.update(runs(tokens, self.split.overlap))

    def admit(self, text: str, guarded: bool) -> str | None:
        """None, and the text is remembered; or the reason why it must go."""
        name, tokens = text_id(text), words(text)
        if name in self.texts:
            return "equal text"
        sketch = self._sketch(tokens)
        if any(sketch.jaccard(self.sketches[key]) >= self.split.similar for key in self.index.query(sketch)):
            return "near duplicate"
        if not guarded and not self.runs.isdisjoint(runs(tokens, self.split.overlap)):
            return "shares words with held-out text"
        self._insert(name, tokens, sketch, guarded)
        return None


def task_rows(rows: Iterable[dict], task: Task, split: Split) -> dict[str, list[dict]]:
    """A task's rows by side: the source's own split where it has one, else the hash (held-out groups are the test).

    Where the source names its test rows, all others are for training and validation.
    """
    chosen = [row for row in rows
              if all(field in row for field in task.fields) and (not task.labels or row["label"] in task.labels)]
    official = any(row.get("split") == "test" for row in chosen)
    sides: dict[str, list[dict]] = {"train": [], "valid": [], "test": []}
    for row in chosen:
        by_hash = {"heldout": "train" if official else "test"}.get(side(row["group"], split), side(row["group"], split))
        sides[row.get("split") or by_hash].append(row)
    return sides


def strings(row: dict) -> str:
    """All that a test row says, for the search for leaks."""
    return " ".join(dict.fromkeys(row[name] for name in ("text", "question", "answer") if isinstance(row.get(name), str)))


def split_documents(corpora: dict[str, list[dict]], tests: Iterable[dict], split: Split) -> tuple[dict, dict]:
    """Documents by corpus and side, de-duplicated; and for each corpus what was dropped from which side and why."""
    kept = {name: {side: [] for side in SIDES} for name in corpora}
    dropped = {name: Counter() for name in corpora}
    sides = {name: defaultdict(list) for name in corpora}
    for name, rows in corpora.items():
        for row in rows:
            if row.get("split") == "test":
                dropped[name]["test row of a task"] += 1
            else:
                sides[name][side(row["group"], split)].append(row)
    seen = Seen(split)
    for current in ("heldout", "valid", "train"):
        if current == "valid":
            for row in tests:
                seen.add(strings(row), guarded=True)
                if strings(row) != row["text"]:
                    seen.add(row["text"], guarded=True)
        for name in corpora:
            for row in sides[name][current]:
                reason = seen.admit(row["text"], guarded=current == "heldout")
                if reason:
                    dropped[name][f"{current}: {reason}"] += 1
                else:
                    kept[name][current].append(row)
    return kept, dropped


def held_by(ids: dict[str, set[str]]) -> dict[str, dict[str, int]]:
    """For each corpus how many of its texts each other one holds too."""
    return {one: {other: len(ids[one] & ids[other]) for other in ids if other != one} for one in ids}


def counted(rows: list[dict]) -> dict[str, int]:
    return {"documents": len(rows), "groups": len({row["group"] for row in rows}),
            "words": sum(len(row["text"].split()) for row in rows)}


def split_all(params: Params, processed: Path, out: Path) -> dict:
    """Write every domain's and task's files below `out` and return the counts."""
    settings = params.active
    corpora = {name: list(read_lines(processed / f"{name}.jsonl")) for name in params.corpora}
    tasks = {name: task_rows(corpora[task.corpus], task, settings.split) for name, task in settings.tasks.items()}
    unlabelled = {name: rows for name, rows in corpora.items() if not params.corpora[name].labelled}
    tests = list({(row["id"], row["corpus"]): row for rows in tasks.values() for row in rows["test"]}.values())
    kept, dropped = split_documents(unlabelled, tests, settings.split)
    report: dict = {"sets": {}, "tasks": {}, "corpora": {}, "held_by": {}}
    for domain, names in params.domains.items():
        report["sets"][domain] = {}
        for current in SIDES:
            rows = [row for name in names for row in kept[name][current]]
            if not rows:
                raise UserError(f"domain {domain} has no {current} document: give it more text, or a larger share "
                                "in params.yaml (split)")
            write_lines(out / domain / f"{current}.jsonl", rows)
            report["sets"][domain][current] = counted(rows)
    for task, sides in tasks.items():
        for current, rows in sides.items():
            write_lines(out / "tasks" / task / f"{current}.jsonl", rows)
        report["tasks"][task] = {current: len(rows) for current, rows in sides.items()}
    for name, rows in unlabelled.items():
        report["corpora"][name] = {"rows": len(rows), "kept": sum(map(len, kept[name].values())),
                                   "dropped": dict(sorted(dropped[name].items()))}
    report["held_by"] = held_by({name: {row["id"] for row in rows} for name, rows in corpora.items()})
    return report


def run() -> None:
    params = config.load()
    with whole_folder(SPLIT) as folder:
        report = split_all(params, PROCESSED, folder)
    write_json(METRICS / "split.json", report | {"made_from": made_from(PROCESSED)})
    for domain, sides in report["sets"].items():
        print(f"{domain}: " + ", ".join(f"{side} {n['documents']} documents in {n['groups']} groups"
                                        for side, n in sides.items()))
