"""What dvc.lock recorded of the sources when the pipeline ran, to compare with the settings: licences of sources that were put into
the settings, or taken out, after a training say nothing about its model."""

from collections.abc import Collection
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from dapt.core.config import Origin, Params, Source
from dapt.core.paths import PARAMS, profile_path
from dapt.reporting.provenance import LOCK

SAID = {"licence", "note", "show", "personal"}  # what a source is said to be may be corrected; what it is may not


def changed(params: Params, domain: str, corpora: Collection[str]) -> list[str]:
    """Which of a model's domain, corpora and base dvc.lock has otherwise than the settings; none where there is no dvc.lock.
    `domain` may be base, which has no corpora of its own."""
    if not LOCK.is_file():
        return []
    stages = YAML(typ="safe").load(LOCK)["stages"]
    profile = str(profile_path(params.profile))

    def recorded(stage: str, file: str, name: str) -> Any:
        return stages.get(stage, {}).get("params", {}).get(file, {}).get(name)

    found = []
    if (recorded("split", str(PARAMS), "domains") or {}).get(domain) != params.domains.get(domain):
        found.append(f"domain {domain}")
    for corpus in corpora:
        before, now = recorded(f"fetch@{corpus}", profile, f"corpora.{corpus}"), params.active.corpora[corpus]
        enabled = (recorded(f"fetch@{corpus}", str(PARAMS), f"corpora.{corpus}") or {}).get("enabled")
        if enabled != params.corpora[corpus].enabled or _content(Source, before) != [_kept(one) for one in now]:
            found.append(f"corpus {corpus}")
    model, bases = recorded("fetch_model", profile, "model") or {}, recorded("fetch_model", str(PARAMS), "bases") or {}
    for role, base in params.active.model:
        if model.get(role) != base or (base and _content(Origin, [bases.get(base)]) != [_kept(params.bases[base])]):
            found.append(f"model.{role}")
    return found


def _content(kind: type[Origin], entries: list[Any] | None) -> list[dict[str, Any]] | None:
    """The entries of settings without what is only said about them; None if they are not such entries."""
    try:
        return [_kept(kind.model_validate(entry)) for entry in entries or []]
    except ValidationError:
        return None


def _kept(origin: Origin) -> dict[str, Any]:
    return origin.model_dump(exclude=SAID)
