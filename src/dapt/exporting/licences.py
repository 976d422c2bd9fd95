"""Which licences are known to allow that a model made from a text, or from another model, is published.

The settings state licences as free text. Only a text that consists of names on the list below counts; everything else leaves
publication open, however it is worded: nothing is guessed.
"""

import re
from collections.abc import Iterable

PUBLISHABLE = frozenset(  # as the hub calls them: SPDX's identifiers in lower case, except those of SPDX below
    [
        *("apache-2.0", "bsd-2-clause", "bsd-3-clause", "isc", "mit", "unlicense", "zlib"),
        *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "gfdl"),
        *("cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "odbl", "odc-by", "pddl"),
    ]
)
OF_SPDX = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl"} | {
    f"gfdl-{version}": "gfdl" for version in ("1.2-only", "1.2-or-later", "1.3-only", "1.3-or-later")
}
NOT_STATED = ("none", "not stated", "unknown")  # a text with one of these says that a licence is missing


def allowing(text: str) -> list[str] | None:
    """The hub's names of the licences that a setting names, all of which allow publication; None if it says anything else.

    >>> allowing("Apache-2.0"), allowing("CC BY-SA 3.0 and GFDL"), allowing("Apache-2.0 (package), none shown for the texts")
    (['apache-2.0'], ['cc-by-sa-3.0', 'gfdl'], None)
    """
    names = ["-".join(part.split()).casefold() for part in re.split(r"\s+(?:and|or)\s+|[;,]", text, flags=re.I)]
    found = [OF_SPDX.get(name, name) for name in names]
    return found if set(found) <= PUBLISHABLE else None


def stated(text: str) -> bool:
    """Whether a setting says under which licence all of a source is.

    >>> stated("HPO licence, 2025-01-16"), stated("none shown"), stated("")
    (True, False, False)
    """
    return bool(text.strip()) and not any(re.search(rf"\b{phrase}\b", text, flags=re.I) for phrase in NOT_STATED)


def of_all(texts: Iterable[str]) -> str:
    """What the hub's field `license` says of a model made from sources with these licences: the licence that all of them have;
    `unknown` if one is not stated, and otherwise `other`.

    >>> of_all(["MIT", "mit"]), of_all(["MIT", "CC BY 4.0"]), of_all(["free for research"]), of_all(["MIT", "not stated"])
    ('mit', 'other', 'other', 'unknown')
    """
    texts = list(texts)
    if not all(stated(text) for text in texts):
        return "unknown"
    names = {name for text in texts for name in allowing(text) or ["other"]}
    return names.pop() if len(names) == 1 else "other"
