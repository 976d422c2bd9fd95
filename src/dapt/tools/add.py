"""`dapt add` and `dapt remove`: add or remove the settings of the user's own domain, corpus, task or base."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dapt.core.config import NAME, Origin, Profile, Source, Task
from dapt.core.paths import PARAMS, flat, profile_path
from dapt.core.rows import text_id
from dapt.corpus.cleaners import text
from dapt.corpus.cleaning import LEAST, Report, check_options, minimum_of, rows
from dapt.corpus.records import Record
from dapt.corpus.splitting import task_rows
from dapt.sources.origins import fetch, named_files, on_disk
from dapt.telling.errors import UserError
from dapt.tools import audit, places
from dapt.tools.settings_files import PIPELINE, SettingsFiles, check_there
from dapt.tools.yaml_text import on_one_line

NOT_WRITTEN = "nothing was written (--dry-run)"
LOOKED_AT = 1000  # documents that are read to check that the files contain text
ASKED = {  # the options that a task of each kind needs; the first one is the text
    "classification": ("column", "label"),
    "multiple_choice": ("question", "options", "answer"),
    "ranking": ("question", "answer"),
}
USUAL = {"length": 128, "epochs": 3, "lr": 3e-5}  # BERT's defaults (Devlin et al. 2019), for a profile without tasks


def look(files: list[Path], corpus: str, options: dict[str, Any], most: int | None = LOOKED_AT) -> list[dict]:
    """The rows that cleaning would keep of the first `most` documents; refuse wrong options, and files without text."""
    check_options("text", options, "option")
    own = {name: value for name, value in options.items() if name != LEAST}
    read, report = islice(text.read(files, **own), most), Report()
    labels: dict[str, set[str]] = {}
    kept = list(rows(with_labels(read, labels), corpus, minimum_of(text, options.get(LEAST)), set(), report))
    first = "the first " * (report.rows_in == most)
    why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report.dropped.items()))
    where = f"{', '.join(map(str, files))}: {report.kept:,} of {first}{report.rows_in:,} "
    said = where + f"{'documents' if most else 'rows'} are kept{f' (dropped: {why})' * bool(why)}"
    if not report.kept:
        raise UserError(f"{said}; supported formats are .txt, CSV, TSV, JSON, JSON lines and Parquet")
    print(said)
    if other := sum(len(of) > 1 for of in labels.values()):
        print(
            f"{other:,} {'text has' if other == 1 else 'texts have'} different labels in different rows; the first row is used"
        )
    return kept


def with_labels(records: Iterable[Record], labels: dict[str, set[str]]) -> Iterator[Record]:
    """Pass the records through, and collect the labels of each text in `labels`."""
    for record in records:
        if record.label is not None and isinstance(record.text, str):
            labels.setdefault(text_id(record.text), set()).add(record.label)
        yield record


@dataclass(frozen=True)
class Text:
    """Where text is (dapt.tools.places), how to read it, and its licence; `part` and `side` choose among files on the hub."""

    place: str
    options: dict[str, Any]
    licence: str
    part: str | None = None
    side: str | None = None


def source(name: str, given: Text, most: int | None = LOOKED_AT) -> tuple[dict[str, Any], list[dict]]:
    """The entry of a corpus in a profile, and its rows; the text is read, so that errors are reported now."""
    options = {"options": given.options} if given.options else {}
    entry = {"name": name, "cleaner": "text"} | places.of_text(given.place, given.part, given.side) | options
    entry["licence"] = given.licence
    origin = Source.model_validate(entry)
    files = on_disk(origin, named_files(origin))
    kept = look(files, name, given.options, most)
    if any(map(places.unseen, files)):
        print(f"DVC does not see changes behind a link; after a change of these files run dapt fetch --pin {name}")
    return entry, kept


def free(name: str, **taken: Collection[str]) -> None:
    """Refuse an invalid name, and one that is already used: `taken` has the used names of each kind."""
    if not re.fullmatch(NAME, name):
        raise UserError(
            f"{name!r} is not a valid name; use letters and digits, and after the first character also _ . -"
        )
    for kind, names in taken.items():
        if name in names:
            raise UserError(f"there is already a {kind} {name}; choose another name")


def domain(name: str, given: Text, profiles: list[str], dry_run: bool) -> None:
    """Add a corpus, a domain and a held-out set of this name, whose model is trained, evaluated, fine-tuned and shared."""
    files = SettingsFiles()
    free(name, domain=files.active.domains, corpus=files.active.corpora, model=files.active.models)
    paths, (entry, _) = files.profiles(profiles), source(name, given)
    files.add(PARAMS, ["corpora"], name, on_one_line(enabled=True, labelled=False))
    files.add(PARAMS, ["domains"], name, [name])
    for names in ("heldout", "models", "finetuned"):
        files.add_item(PARAMS, [names], name)
    for path in paths:
        files.add(path, ["corpora"], name, [entry])
    artifact = {"path": f"models/{name}", "type": "model", "desc": f"adapted to {name}"}
    files.add(PIPELINE, ["artifacts"], name, artifact)
    files.save(dry_run)
    print(NOT_WRITTEN if dry_run else f"next: dvc repro evaluate@{name}, or dvc repro to update the report too")


def corpus(name: str, domain: str, given: Text, profiles: list[str], dry_run: bool) -> None:
    """Add more text to an existing domain."""
    files = SettingsFiles()
    free(name, corpus=files.active.corpora)
    paths, (entry, _) = files.profiles(profiles), source(name, given)
    files.add(PARAMS, ["corpora"], name, on_one_line(enabled=True, labelled=False))
    files.add_item(PARAMS, ["domains", domain], name)
    for path in paths:
        files.add(path, ["corpora"], name, [entry])
    files.save(dry_run)
    print(NOT_WRITTEN if dry_run else f"next: dvc repro evaluate@{domain}")


def task(name: str, kind: str, given: Text, profiles: list[str], dry_run: bool) -> None:
    """Add a downstream task with the rows of a table. Length, epochs and learning rate are copied from a task of the same kind
    in the profile."""
    from dapt.tasks import checks, kinds  # torch takes a while to import

    files = SettingsFiles()
    free(name, task=files.active.tasks, corpus=files.active.corpora)
    check_there("kind of task", kind, ASKED)
    check_asked(kind, given.options)
    paths, (entry, kept) = files.profiles(profiles), source(name, given, None)
    words = next(words for words in kinds.kind(kind).BASELINES if words != "majority")
    files.add(PARAMS, ["corpora"], name, on_one_line(enabled=True, labelled=True))
    files.add(PARAMS, ["tasks"], name, {"words": words})
    fields = [field for field in ASKED[kind] if field != "column"]
    for path in paths:
        profile = files.active.profiles[path.stem]
        settings = {"corpus": name, "fields": fields, "kind": kind} | like(kind, profile)
        typed, sides = Task.model_validate(settings), {side: list[dict]() for side in ("train", "valid", "test")}
        for side, row in task_rows(kept, typed, profile.split):
            sides[side].append(row)
        checks.check_sides(name, typed, sides["train"], sides["test"])
        print(f"{path}: {', '.join(f'{side} {len(of):,} rows' for side, of in sides.items())}")
        files.add(path, ["corpora"], name, [entry])
        files.add(path, ["tasks"], name, settings)
    if counts := Counter(row["label"] for row in kept if "label" in row):
        shown = ", ".join(f"{label} {count:,}" for label, count in counts.most_common(20))
        print(f"labels: {shown}{', …' * (len(counts) > 20)}")
    files.save(dry_run)
    print(
        NOT_WRITTEN if dry_run else f"next: dvc repro finetune@{name}-base baseline@{name}, or dvc repro for all models"
    )


def check_asked(kind: str, options: dict[str, Any]) -> None:
    """Refuse missing options of a kind of task, and options of other kinds."""
    shown = {"column": "text"}
    if lacks := [shown.get(name, name) for name in ASKED[kind] if name not in options]:
        raise UserError(f"a task of the kind {kind} needs --{' and --'.join(lacks)}, each with the name of a column")
    others = {name for names in ASKED.values() for name in names} - {*ASKED[kind]}
    if strange := sorted(shown.get(name, name) for name in others & options.keys()):
        raise UserError(f"a task of the kind {kind} has no option --{strange[0]}; remove it")


def like(kind: str, profile: Profile) -> dict[str, Any]:
    """Length, epochs and learning rate of a profile's first task of this kind, else of any kind, else BERT's defaults."""

    def tasks() -> Iterator[Task]:
        yield from (task for task in profile.tasks.values() if task.kind == kind)
        yield from profile.tasks.values()

    one = next(tasks(), None)
    return {name: getattr(one, name) for name in USUAL} if one else USUAL


def base(name: str, place: str, licence: str, dry_run: bool) -> None:
    """Add an encoder to start from; it is downloaded and audited, so that an unusable one is refused now."""
    files = SettingsFiles()
    free(name, base=files.active.bases)
    entry = places.of_model(place) | {"licence": licence}
    with TemporaryDirectory() as folder:
        fetch(Origin.model_validate(entry), Path(folder), flat)
        print(audit.sentence(name, audit.audit(Path(folder))))
    files.add(PARAMS, ["bases"], name, entry)
    files.save(dry_run)
    profile = files.profiles([files.active.profile])[0]
    print(NOT_WRITTEN if dry_run else f"next: dvc exp run -S {profile}:model.base={name}")


def remove_domain(name: str, dry_run: bool) -> None:
    """Remove what `domain` added, including corpora that no other domain or task uses."""
    files = SettingsFiles()
    active = files.active
    check_there("domain", name, active.domains)
    if name == active.control:
        raise UserError(
            f"{name} is the control, with which every model is compared; set control in params.yaml to another domain first"
        )
    aims = [
        f"{profile_path(each)}: compare.target" for each, of in active.profiles.items() if of.compare.target == name
    ]
    if named := ["params.yaml: domain"] * (active.domain == name) + aims:
        raise UserError(f"{name} is used in {', '.join(named)}; set another domain there first")
    others = {corpus for domain, corpora in active.domains.items() if domain != name for corpus in corpora}
    tasks = {task.corpus for profile in active.profiles.values() for task in profile.tasks.values()}
    files.remove(PARAMS, ["domains"], name)
    for names in ("heldout", "models", "finetuned"):
        files.remove_item(PARAMS, [names], name)
    remove_corpora(files, set(active.domains[name]) - others - tasks)
    files.remove(PIPELINE, ["artifacts"], name)
    files.save(dry_run)
    print(
        NOT_WRITTEN
        if dry_run
        else f"data, models and metrics of {name} are kept until you delete them; next: dvc repro"
    )


def remove_task(name: str, dry_run: bool) -> None:
    """Remove what `task` added, including corpora that no domain or other task uses."""
    files = SettingsFiles()
    active = files.active
    check_there("task", name, active.tasks)
    if named := [str(profile_path(each)) for each, of in active.profiles.items() if of.compare.task == name]:
        raise UserError(f"{name} is used as compare.task in {', '.join(named)}; set another task there first")
    entries = [entry for profile in active.profiles.values() for entry in profile.tasks.items()]
    others = {task.corpus for each, task in entries if each != name}.union(*active.domains.values())
    remove_corpora(files, {task.corpus for each, task in entries if each == name} - others)
    for path in (PARAMS, *files.profiles([])):
        files.remove(path, ["tasks"], name)
    files.save(dry_run)
    print(
        NOT_WRITTEN
        if dry_run
        else f"data, models and metrics of {name} are kept until you delete them; next: dvc repro"
    )


def remove_corpora(files: SettingsFiles, names: Collection[str]) -> None:
    for name in names:
        for path in (PARAMS, *files.profiles([])):
            files.remove(path, ["corpora"], name)
