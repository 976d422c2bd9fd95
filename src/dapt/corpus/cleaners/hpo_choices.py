"""Questions made from the Human Phenotype Ontology, in the layout of MedMCQA; no answer is invented.

The question is a term's definition, the options are its own name and those of three siblings, and the subject is the branch
directly under "Phenotypic abnormality". If a word of the right option is in the definition, the answer could be read off, so
the row has no options and is used for the subject only. A term under several branches has no subject.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from dapt.corpus.cleaners import hpo
from dapt.corpus.records import Record

LABELLED = True
ROOT = "HP:0000118"
WORD = re.compile(r"[a-z]{3,}")
EMPTY_WORDS = frozenset(
    "the and for with from into that this are not has its one both due all any abnormal abnormality morphology".split()
)


def words(text: str) -> set[str]:
    return set(WORD.findall(text.lower())) - EMPTY_WORDS


def branches(by_id: dict[str, hpo.Term]) -> dict[str, set[str]]:
    """For each term the branches under ROOT to which it belongs, through any of its parents."""
    children = defaultdict(list)
    for term in by_id.values():
        for parent in term.parents:
            children[parent].append(term.id)
    found: dict[str, set[str]] = {name: set() for name in by_id}
    for branch in children[ROOT]:
        below = [branch]
        while below:
            name = below.pop()
            if branch not in found[name]:
                found[name].add(branch)
                below += children[name]
    return found


def by_hash(salt: str, names: list[str]) -> list[str]:
    """An order that looks random, is the same in every run, and changes little when a name is added."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}\0{name}".encode()).digest())


def read(files: list[Path]) -> Iterator[Record]:
    living = [term for term in hpo.terms(files) if not term.obsolete]
    by_id = {term.id: term for term in living}
    children = defaultdict(list)
    for term in living:
        if term.parents:
            children[term.parents[0]].append(term.id)
    branch_of = branches(by_id)
    for term in living:
        subject = [by_id[name].name for name in branch_of[term.id]] if len(branch_of[term.id]) == 1 else []
        siblings = [name for name in children[term.parents[0]] if name != term.id] if term.parents else []
        fields: dict = {"question": term.definition}
        if len(siblings) >= 3 and not words(term.name) & words(term.definition):
            options = by_hash(f"order {term.id}", [term.id, *by_hash(term.id, siblings)[:3]])
            fields |= {"options": [by_id[name].name for name in options], "answer": options.index(term.id)}
        drop = (
            "no definition"
            if not term.definition
            else None
            if subject or "options" in fields
            else "several branches and no fair options"
        )
        yield Record(term.definition, hpo.group(term), label=subject[0] if subject else None, fields=fields, drop=drop)
