"""`dapt add` and `dapt remove`: the entries of the settings that something of one's own needs, and no others."""

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dapt.core.config import NAME, Origin, Source
from dapt.core.paths import PARAMS, flat, profile_path
from dapt.corpus.cleaners import text
from dapt.corpus.cleaning import LEAST, Report, check_options, minimum_of, rows
from dapt.sources.origins import fetch, named_files, on_disk
from dapt.telling.errors import UserError
from dapt.tools import audit, places
from dapt.tools.settings_files import PIPELINE, SettingsFiles, check_there
from dapt.tools.yaml_text import on_one_line

NOT_WRITTEN = "nothing was written (--dry-run)"
LOOKED_AT = 1000  # documents that are read to see whether there are any


def look(files: list[Path], corpus: str, options: dict[str, Any]) -> str:
    """What cleaning would keep of the first rows; refuse options that are wrong, and files without text."""
    check_options("text", options, "option")
    own = {name: value for name, value in options.items() if name != LEAST}
    read, report = itertools.islice(text.read(files, **own), LOOKED_AT), Report()
    for _ in rows(read, corpus, minimum_of(text, options.get(LEAST)), set(), report):
        pass
    first = "the first " * (report.rows_in == LOOKED_AT)
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(report.dropped.items()))
    said = f"{report.kept} of {first}{report.rows_in} documents are kept{f' (dropped: {why})' * bool(why)}"
    if not report.kept:
        raise UserError(f"{files[0]}: {said}; .txt, CSV, TSV, JSON, JSON lines and Parquet are read")
    return said


@dataclass(frozen=True)
class Text:
    """Where text is (dapt.tools.places), how it is read, and its licence; `part` and `side` choose among a hub's files."""

    place: str
    options: dict[str, Any]
    licence: str
    part: str | None = None
    side: str | None = None


def source(name: str, given: Text) -> dict[str, Any]:
    """The entry of a corpus in a profile; its text is read, so that what is wrong is said now."""
    options = {"options": given.options} if given.options else {}
    entry = {"name": name, "cleaner": "text"} | places.of_text(given.place, given.part, given.side) | options
    entry["licence"] = given.licence
    origin = Source.model_validate(entry)
    files = on_disk(origin, named_files(origin))
    print(f"{', '.join(map(str, files if origin.local else origin.files))}: {look(files, name, given.options)}")
    if any(map(places.unseen, files)):
        print(f"a link leads there, behind which DVC sees no change: after one, say dapt fetch --pin {name}")
    return entry


def free(name: str, **taken: Collection[str]) -> None:
    """Refuse what is no name, and one that stands for something already: `taken` has the names of each kind."""
    if not re.fullmatch(NAME, name):
        raise UserError(f"{name!r} is no name; take letters, digits and _ . - behind the first")
    for kind, names in taken.items():
        if name in names:
            raise UserError(f"there is a {kind} {name} already; take another name")


def domain(name: str, given: Text, profiles: list[str], dry_run: bool) -> None:
    """A corpus, a domain and a held-out set of this name, whose model is trained, judged, fine-tuned and shared."""
    files = SettingsFiles()
    free(name, domain=files.active.domains, corpus=files.active.corpora, model=files.active.models)
    paths, entry = files.profiles(profiles), source(name, given)
    files.add(PARAMS, ["corpora"], name, on_one_line(enabled=True, labelled=False))
    files.add(PARAMS, ["domains"], name, [name])
    for names in ("heldout", "models", "finetuned"):
        files.add_item(PARAMS, [names], name)
    for path in paths:
        files.add(path, ["corpora"], name, [entry])
    artifact = {"path": f"models/{name}", "type": "model", "desc": f"adapted to {name}"}
    files.add(PIPELINE, ["artifacts"], name, artifact)
    files.save(dry_run)
    print(NOT_WRITTEN if dry_run else f"next: dvc repro evaluate@{name}, or dvc repro for the report as well")


def corpus(name: str, domain: str, given: Text, profiles: list[str], dry_run: bool) -> None:
    """More text of a domain that is there."""
    files = SettingsFiles()
    free(name, corpus=files.active.corpora)
    paths, entry = files.profiles(profiles), source(name, given)
    files.add(PARAMS, ["corpora"], name, on_one_line(enabled=True, labelled=False))
    files.add_item(PARAMS, ["domains", domain], name)
    for path in paths:
        files.add(path, ["corpora"], name, [entry])
    files.save(dry_run)
    print(NOT_WRITTEN if dry_run else f"next: dvc repro evaluate@{domain}")


def base(name: str, place: str, licence: str, dry_run: bool) -> None:
    """An encoder to start from; it is fetched and audited, so that one that is no use is refused now."""
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
    """What `domain` wrote; corpora go with it where no other domain and no task reads them."""
    files = SettingsFiles()
    active = files.active
    check_there("domain", name, active.domains)
    if name == active.control:
        raise UserError(f"{name} is the control, which every model is held against; name another `control` first")
    aims = [
        f"{profile_path(each)}: compare.target" for each, of in active.profiles.items() if of.compare.target == name
    ]
    if named := ["params.yaml: domain"] * (active.domain == name) + aims:
        raise UserError(f"{name} is named by {', '.join(named)}; name another domain there first")
    others = {corpus for domain, corpora in active.domains.items() if domain != name for corpus in corpora}
    tasks = {task.corpus for profile in active.profiles.values() for task in profile.tasks.values()}
    files.remove(PARAMS, ["domains"], name)
    for names in ("heldout", "models", "finetuned"):
        files.remove_item(PARAMS, [names], name)
    for corpus in (corpus for corpus in active.domains[name] if corpus not in others | tasks):
        for path in (PARAMS, *files.profiles([])):
            files.remove(path, ["corpora"], corpus)
    files.remove(PIPELINE, ["artifacts"], name)
    files.save(dry_run)
    print(NOT_WRITTEN if dry_run else f"data and models of {name} stay until you delete them; next: dvc repro")
