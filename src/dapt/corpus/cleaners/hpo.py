"""Clinical definitions of the Human Phenotype Ontology (hp.obo, OBO 1.2): each term is a row, and its definition is the text.

Siblings are alike ("Absence of the left kidney", "Absence of the right kidney"), so the group is the first parent.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dapt.corpus.records import Record
from dapt.corpus.tables import decoded
from dapt.telling.errors import UserError

DEFINITION = re.compile(r'^"((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r"\\(.)")


@dataclass(slots=True)
class Term:
    id: str = ""
    name: str = ""
    definition: str = ""
    parents: list[str] = field(default_factory=list)
    obsolete: bool = False


def terms(files: list[Path]) -> Iterator[Term]:
    """The [Term] stanzas of an OBO file, in order."""
    for path in files:
        text = decoded(path.read_bytes(), path.name)
        stanzas = text.split("\n[")[1:]
        if not stanzas:
            raise UserError(f"{path.name} contains no OBO stanza; fetch it again")
        for stanza in stanzas:
            if stanza.startswith("Term]"):
                yield _term(stanza)


def _term(stanza: str) -> Term:
    term = Term()
    for line in stanza.splitlines()[1:]:
        key, _, value = line.partition(": ")
        if key == "id":
            term.id = value.strip()
        elif key == "name":
            term.name = value.strip()
        elif key == "def" and (match := DEFINITION.match(value)):
            term.definition = ESCAPE.sub(lambda m: " " if m[1] == "n" else m[1], match[1])
        elif key == "is_a":
            term.parents.append(value.split(" ! ")[0].strip())
        elif key == "is_obsolete":
            term.obsolete = value.strip() == "true"
    return term


def group(term: Term) -> str:
    return f"hpo:{term.parents[0] if term.parents else term.id}"


def read(files: list[Path]) -> Iterator[Record]:
    for term in terms(files):
        drop = "obsolete" if term.obsolete else None if term.definition else "no definition"
        yield Record(term.definition, group(term), drop=drop)
