"""`dapt add domain` and `dapt remove domain`: the entries of the settings that a domain of one's own needs, and no others."""

import itertools
from pathlib import Path
from typing import Any

from dapt.core import config
from dapt.core.paths import LOCAL, PARAMS
from dapt.corpus.cleaners import text
from dapt.corpus.cleaning import LEAST, Report, check_options, minimum_of, rows
from dapt.telling.errors import UserError
from dapt.tools.settings_files import PIPELINE, SettingsFiles
from dapt.tools.yaml_text import on_one_line

NOT_WRITTEN = "nothing was written (--dry-run)"
LOOKED_AT = 1000  # documents that are read to see whether there are any


def look(place: Path, corpus: str, options: dict[str, Any]) -> None:
    """Say what cleaning would keep of the first rows; refuse options that are wrong, and a place without text."""
    check_options("text", options, "option")
    own = {name: value for name, value in options.items() if name != LEAST}
    read, report = itertools.islice(text.read([place], **own), LOOKED_AT), Report()
    for _ in rows(read, corpus, minimum_of(text, options.get(LEAST)), set(), report):
        pass
    first = "the first " * (report.rows_in == LOOKED_AT)
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(report.dropped.items()))
    said = f"{place}: {report.kept} of {first}{report.rows_in} documents are kept{f' (dropped: {why})' * bool(why)}"
    if not report.kept:
        raise UserError(f"{said}; .txt, CSV, TSV, JSON, JSON lines and Parquet are read")
    print(said)


def source(place: Path, name: str, options: dict[str, Any], licence: str) -> dict[str, object]:
    """The entry of a profile for a file or folder, whose path is absolute; it is read, so that what is wrong is said now."""
    if not place.exists():
        raise UserError(f"{place} is not there; put the text into {LOCAL} and give its path")
    if not place.is_relative_to(Path.cwd()):
        raise UserError(
            f"{place} is outside of the repository, where nobody else has it; copy it or link it into {LOCAL}, and give "
            "that path"
        )
    shown = place.relative_to(Path.cwd())
    look(shown, name, options)
    found: dict[str, object] = {"name": name, "cleaner": "text", "local": {"folder": shown.parent.as_posix()}}
    return found | {"files": [shown.name]} | ({"options": options} if options else {}) | {"licence": licence}


def free(name: str, files: SettingsFiles) -> None:
    """Refuse a name that stands for something already."""
    params = files.active
    for kind, names in (("domain", params.domains), ("corpus", params.corpora), ("model", params.models)):
        if name in names:
            raise UserError(
                f"there is a {kind} {name} already; take another name, or `dapt remove domain {name}` first"
            )


def domain(name: str, place: Path, options: dict[str, Any], licence: str, profiles: list[str], dry_run: bool) -> None:
    """A corpus, a domain and a held-out set of this name, whose model is trained, judged, fine-tuned and shared."""
    files = SettingsFiles()
    free(name, files)
    entry = source(place, name, options, licence)
    files.add(PARAMS, ["corpora"], name, on_one_line(enabled=True, labelled=False))
    files.add(PARAMS, ["domains"], name, [name])
    for names in ("heldout", "models", "finetuned"):
        files.add_item(PARAMS, [names], name)
    for path in files.profiles(profiles):
        files.add(path, ["corpora"], name, [entry])
    artifact = {"path": f"models/{name}", "type": "model", "desc": f"adapted to {name}"}
    files.add(PIPELINE, ["artifacts"], name, artifact)
    files.save(dry_run)
    print(NOT_WRITTEN if dry_run else f"next: dvc repro evaluate@{name}, or dvc repro for the report as well")


def remove_domain(name: str, dry_run: bool) -> None:
    """What `domain` wrote; corpora go with it where no other domain and no task reads them."""
    files = SettingsFiles()
    active = files.active
    if name not in active.domains:
        known = f"there are: {', '.join(active.domains)}"
        raise UserError(f"there is no domain {name!r}{config.instead(name, active.domains, known)}")
    if name == active.control:
        raise UserError(f"{name} is the control, which every model is held against; name another `control` first")
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
