"""Splitting into train, valid and held-out rows, so that no text on which a model is judged is in a training set.

1. A row's side is decided by the hash of its group: adding a corpus moves no document to another side, and all rows of
   one source record are on the same side.
2. Held-out documents are de-duplicated among themselves, then validation documents against those and the tasks' test
   rows, then training documents against all of these: equal texts, near duplicates, and any run of `overlap` words
   shared with a held-out document or a test row (dapt.corpus.duplicates).
3. Labelled corpora are used for tasks only, and no row is dropped from them for a pre-training corpus. A row that its
   source marks as test is in no pre-training set, and no other row of its source record is on another side of its task.

Files are read once for each side, so that no corpus has to fit into memory: only hashes of the documents are kept.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from dapt.core.config import Params, Split, Task
from dapt.core.files import json_line, read_lines
from dapt.corpus.duplicates import HELD_OUT, Prepared, Seen
from dapt.telling.errors import UserError

SIDES = ("train", "valid", "heldout")


@dataclass(frozen=True)
class Lines:
    """The rows of a JSON-lines file, read again on each iteration."""

    path: Path

    def __iter__(self) -> Iterator[dict]:
        return read_lines(self.path)


def side(group: str, split: Split) -> str:
    """heldout, valid or train, from the first 64 bits of the SHA-256 of the group."""
    place = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    return "heldout" if place < split.heldout else "valid" if place < split.heldout + split.valid else "train"


def of_task(rows: Iterable[dict], task: Task) -> Iterator[dict]:
    """The rows that have what the task needs, and one of its labels."""
    needed = {*task.fields, task.input}
    return (row for row in rows if needed <= row.keys() and (not task.labels or row.get("label") in task.labels))


def check_rows(name: str, rows: Iterable[dict], task: Task) -> int:
    """Refuse a task that names a field, an input or a label that no row of its corpus has; return the number of rows.

    Such a typo would not stop a training: rows, or one of the classes, would be missing without notice.
    """
    fields: set[str] = set()
    labels: set[str] = set()
    count = 0
    for count, row in enumerate(rows, 1):
        fields |= row.keys()
        labels.add(row.get("label", ""))
    if not count:
        raise UserError(f"task {name}: its corpus {task.corpus} is empty; enable it in params.yaml, or remove the task")
    for setting, wanted, known in (
        ("fields", task.fields, fields),
        ("input", [task.input], fields),
        ("labels", task.labels, labels - {""}),
    ):
        if strange := [value for value in wanted if value not in known]:
            raise UserError(
                f"tasks.{name} of the profile: {setting} names {strange[0]!r}, which no row of {task.corpus} has; its "
                f"rows have: {', '.join(sorted(known)[:30])}"
            )
    return count


def task_rows(rows: Iterable[dict], task: Task, split: Split) -> Iterator[tuple[str, dict]]:
    """A task's rows, each with its side: test or valid if the source says so, else by the hash (held-out groups become
    test rows). For a side of which the source has rows, the hash draws no others.
    """
    return sided(rows, task, split, official_sides(rows, task))


def official_sides(rows: Iterable[dict], task: Task) -> set[str | None]:
    """The sides of which the source itself has rows."""
    return {row.get("split") for row in of_task(rows, task)}


def sided(rows: Iterable[dict], task: Task, split: Split, official: set[str | None]) -> Iterator[tuple[str, dict]]:
    """As task_rows, for which the rows need not be read to find the official sides."""
    for row in of_task(rows, task):
        by_hash = side(row["group"], split)
        drawn = "test" if by_hash == "heldout" else by_hash
        yield row["split"] if row.get("split") in ("valid", "test") else "train" if drawn in official else drawn, row


def strings(row: dict) -> str:
    """All text of a test row, for the search for leaks."""
    return " ".join(
        dict.fromkeys(row[name] for name in ("text", "question", "answer") if isinstance(row.get(name), str))
    )


def decided(
    corpora: Mapping[str, Iterable[dict]], tests: Iterable[dict], split: Split, seen: Seen
) -> Iterator[tuple[str, str, dict, str | None]]:
    """(corpus, side, row, reason) for each row of the unlabelled corpora; the reason is why it is dropped, or None.

    `tests` are the tasks' test rows, of these corpora or of others.
    """
    for current in ("heldout", "valid", "train"):
        if current == "valid":
            for row in tests:
                for text in dict.fromkeys((row["text"], strings(row))):
                    seen.guard(Prepared(text))
        for name, rows in corpora.items():
            for row in rows:
                if row.get("split") == "test":
                    if current == "heldout":
                        yield name, current, row, "test row of a task"
                elif side(row["group"], split) == current:
                    text = Prepared(row["text"])
                    reason = seen.twin(text, name)
                    if current == "heldout" and not reason:
                        seen.guard(text, HELD_OUT)
                    elif not reason and (what := seen.shares(text)):
                        reason = f"shares words with {what}"
                    yield name, current, row, reason and f"{current}: {reason}"


class Writer:
    """The files of one domain or task, one per side, and counts of their content."""

    def __init__(self, folder: Path, sides: Iterable[str], files: ExitStack):
        folder.mkdir(parents=True)
        self.files = {
            side: files.enter_context(open(folder / f"{side}.jsonl", "w", encoding="utf-8", newline="\n"))
            for side in sides
        }
        self.documents: Counter[str] = Counter()
        self.words: Counter[str] = Counter()
        self.groups: dict[str, set[str]] = {side: set() for side in sides}

    def write(self, side: str, row: dict) -> None:
        self.files[side].write(json_line(row))
        self.documents[side] += 1
        self.words[side] += len(row["text"].split())
        self.groups[side].add(row["group"])

    def counted(self) -> dict[str, dict[str, int]]:
        return {
            side: {"documents": self.documents[side], "groups": len(self.groups[side]), "words": self.words[side]}
            for side in self.files
        }


def held_by(ids: dict[str, set[bytes]], twins: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """For each corpus, how many of its texts each other corpus contains as well: equal ones, by `ids`, or also nearly
    equal ones, by `twins`, which exist for the unlabelled corpora only.
    """
    return {
        one: {other: max(twins[one, other], len(ids[one] & ids[other])) for other in ids if other != one} for one in ids
    }


def split_tasks(tasks: dict[str, Task], corpora: Mapping[str, Iterable[dict]], split: Split, out: Path) -> dict:
    """Write each task's train, valid and test rows and return how many there are.

    Rows of a source's own training or validation side whose group has a test row are left out and counted. Training rows
    that resemble a test row are counted too, but stay, because results on a known split must be comparable. The rows of
    the corpus that the task does not use are also counted.
    """
    report = {}
    for name, task in tasks.items():
        rows = check_rows(name, corpora[task.corpus], task)
        official = official_sides(corpora[task.corpus], task)
        tested = {
            row["group"] for current, row in sided(corpora[task.corpus], task, split, official) if current == "test"
        }
        left_out = 0
        with ExitStack() as files:
            writer = Writer(out / name, ("train", "valid", "test"), files)
            for current, row in sided(corpora[task.corpus], task, split, official):
                if current != "test" and row["group"] in tested:
                    left_out += 1
                else:
                    writer.write(current, row)
        report[name] = {side: writer.documents[side] for side in writer.files} | {
            "group_of_a_test_row": left_out,
            "train_like_test": 0,
            "other_rows": rows - writer.documents.total() - left_out,
        }
    for corpus in dict.fromkeys(task.corpus for task in tasks.values()):
        names = [name for name, task in tasks.items() if task.corpus == corpus]
        for name, count in leaks(names, split, out).items():
            report[name]["train_like_test"] = count
    return report


def leaks(tasks: list[str], split: Split, out: Path) -> Counter[str]:
    """How many training rows of each task resemble one of its test rows; of tasks with rows of one corpus, so that a row
    that several of them train on is prepared once."""
    tests = {name: Seen(split.similar, split.overlap) for name in tasks}
    trained_on: dict[str, list[str]] = {}  # id of a row → tasks
    for name, seen in tests.items():
        for row in Lines(out / name / "test.jsonl"):
            seen.guard(Prepared(strings(row)))
        for row in Lines(out / name / "train.jsonl"):
            trained_on.setdefault(row["id"], []).append(name)
    found: Counter[str] = Counter()
    for name in tasks:
        for row in Lines(out / name / "train.jsonl"):
            if of := trained_on.pop(row["id"], None):
                text = Prepared(strings(row))
                found.update(each for each in of if tests[each].leaks(text))
    return found


def split_domains(
    params: Params, corpora: Mapping[str, Iterable[dict]], tests: Iterable[dict], seen: Seen, out: Path
) -> tuple[dict, dict]:
    """Write each domain's sets; return counts of the sets, and of the kept and dropped rows of each unlabelled corpus."""
    rows: Counter[str] = Counter()
    dropped: dict[str, Counter[str]] = {name: Counter() for name in corpora}
    with ExitStack() as files:
        writers = {name: Writer(out / name, SIDES, files) for name in params.domains}
        for corpus, current, row, reason in decided(corpora, tests, params.active.split, seen):
            rows[corpus] += 1
            if reason:
                dropped[corpus][reason] += 1
                continue
            for domain, names in params.domains.items():
                if corpus in names:
                    writers[domain].write(current, row)
    for domain, writer in writers.items():
        for current in SIDES:
            if not writer.documents[current]:
                raise UserError(
                    f"domain {domain} has no {current} document; add more text, or increase its share under split in the "
                    "profile"
                )
    return (
        {name: writer.counted() for name, writer in writers.items()},
        {
            name: {
                "rows": rows[name],
                "kept": rows[name] - dropped[name].total(),
                "dropped": dict(sorted(dropped[name].items())),
            }
            for name in corpora
        },
    )


def split_all(params: Params, processed: Path, out: Path) -> dict:
    """Write every domain's and task's files below `out` and return the counts."""
    settings = params.active
    seen = Seen(settings.split.similar, settings.split.overlap)
    corpora = {name: Lines(processed / f"{name}.jsonl") for name in params.corpora}
    unlabelled = {name: rows for name, rows in corpora.items() if not params.corpora[name].labelled}
    tasks = split_tasks(params.active_tasks, corpora, settings.split, out / "tasks")
    tests = chain.from_iterable(Lines(out / "tasks" / name / "test.jsonl") for name in tasks)
    sets, became = split_domains(params, unlabelled, tests, seen, out)
    ids = {name: {bytes.fromhex(row["id"]) for row in rows} for name, rows in corpora.items()}
    return {"sets": sets, "tasks": tasks, "corpora": became, "held_by": held_by(ids, seen.held_by())}
