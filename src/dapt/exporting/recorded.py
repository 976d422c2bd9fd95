"""What dvc.lock recorded of the run, to compare with the settings, with the workspace and with itself: a card must not describe
another model, and sources that were put into the settings, or taken out, after a training say nothing about its model."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dapt.core.config import Origin, Params, Source
from dapt.core.paths import PARAMS, profile_path
from dapt.reporting.provenance import LOCK
from dapt.telling.errors import UserError

SAID = {"licence", "note", "show", "personal"}  # what a source is said to be may be corrected; what it is may not
Stages = Mapping[str, Any]  # of dvc.lock


def stages(params: Params) -> Stages:
    """Those of dvc.lock, without those of corpora that have been removed, which DVC keeps."""
    try:
        found = YAML(typ="safe").load(LOCK)["stages"]
    except (OSError, YAMLError, TypeError, KeyError) as error:
        raise UserError(
            f"{LOCK} cannot be read, so it is not known what the models were made from; restore it with git checkout {LOCK}, or "
            "run dvc repro"
        ) from error
    removed = [
        name for name in found if name.startswith("clean@") and name.removeprefix("clean@") not in params.corpora
    ]
    return {name: stage for name, stage in found.items() if name not in removed}


def differing(run: Stages, outputs: Iterable[Path]) -> list[str]:
    """Which of these outputs are not in the workspace as the run made them."""
    made = {PurePosixPath(out["path"]): out.get("md5") for stage in run.values() for out in stage.get("outs", [])}
    return [str(path) for path in outputs if made.get(PurePosixPath(path)) != _content_hash(path)]


def out_of_step(run: Stages, last: Collection[str]) -> list[str]:
    """Which of these stages, and of the stages before them, read something other than what the stage before has made since. Of an
    input that is a part of an output, dvc.lock does not tell."""
    made = {PurePosixPath(out["path"]): (name, out) for name, stage in run.items() for out in stage.get("outs", [])}
    found, seen, left = set(), set(), list(last)
    while left:
        name = left.pop()
        seen.add(name)
        for dep in run.get(name, {}).get("deps", []):
            path = PurePosixPath(dep["path"])
            related = {other for other in made if path == other or path in other.parents or other in path.parents}
            left += {made[other][0] for other in related} - seen
            if _made_since(path, {other: made[other][1].get("md5") for other in related}) not in (None, dep.get("md5")):
                found.add(name)
    return sorted(found)


def _made_since(path: PurePosixPath, related: dict[PurePosixPath, str | None]) -> str | None:
    """The hash of a path that is one of these outputs, or the folder of these files; None where it does not follow from theirs."""
    if path in related:
        return related[path]
    files = {other.relative_to(path): md5 for other, md5 in related.items() if path in other.parents}
    if not files or any(md5 is None or md5.endswith(".dir") for md5 in files.values()):
        return None
    return _folder_hash((str(file), md5) for file, md5 in files.items() if md5)


def _content_hash(path: Path) -> str | None:
    """DVC's hash of a file or a folder; None if there is none."""
    if path.is_dir():
        return _folder_hash(
            (file.relative_to(path).as_posix(), _file_hash(file)) for file in path.rglob("*") if file.is_file()
        )
    return _file_hash(path) if path.is_file() else None


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _folder_hash(files: Iterable[tuple[str, str]]) -> str:
    """From the path in the folder and the hash of each file; DVC hashes the list of them."""
    listed = [{"md5": md5, "relpath": name} for name, md5 in sorted(files)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest() + ".dir"


def changed(run: Stages, params: Params, domains: Collection[str], corpora: Collection[str]) -> list[str]:
    """Which of the control, these domains, these corpora and the base dvc.lock has otherwise than the settings."""
    profile = profile_path(params.profile)
    found = ["control"] if _setting(run, "base", PARAMS, "control") != params.control else []
    before = _setting(run, "split", PARAMS, "domains") or {}
    found += [f"domain {domain}" for domain in domains if before.get(domain) != params.domains.get(domain)]
    for corpus in corpora:
        sources, now = _setting(run, f"fetch@{corpus}", profile, f"corpora.{corpus}"), params.active.corpora[corpus]
        enabled = (_setting(run, f"fetch@{corpus}", PARAMS, f"corpora.{corpus}") or {}).get("enabled")
        if enabled != params.corpora[corpus].enabled or _content(Source, sources) != [_kept(one) for one in now]:
            found.append(f"corpus {corpus}")
    model, bases = (
        _setting(run, "fetch_model", file, name) or {} for file, name in ((profile, "model"), (PARAMS, "bases"))
    )
    for role, base in params.active.model:
        if model.get(role) != base or (base and _content(Origin, [bases.get(base)]) != [_kept(params.bases[base])]):
            found.append(f"model.{role}")
    return found


def task_corpus(run: Stages, params: Params, task: str, name: str) -> str | None:
    """The corpus whose rows models/tasks/TASK/NAME was fine-tuned on."""
    profile = profile_path(params.profile)
    return (_setting(run, f"finetune@{task}-{name}", profile, f"tasks.{task}") or {}).get("corpus")


def _setting(run: Stages, stage: str, file: Path, name: str) -> Any:
    """A setting as it was when the stage ran; None if the stage does not depend on it."""
    return run.get(stage, {}).get("params", {}).get(str(file), {}).get(name)


def _content(kind: type[Origin], entries: list[Any] | None) -> list[dict[str, Any]] | None:
    """The entries of settings without what is only said about them; None if they are not such entries."""
    try:
        return [_kept(kind.model_validate(entry)) for entry in entries or []]
    except ValidationError:
        return None


def _kept(origin: Origin) -> dict[str, Any]:
    return origin.model_dump(exclude=SAID)
