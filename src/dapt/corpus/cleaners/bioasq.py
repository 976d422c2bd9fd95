"""BioASQ, in the two layouts in circulation; the file needs registration, so the user provides it.

The SQuAD layout (`BioASQ-train-factoid-6b-full-annotated.json`, which the original project had):
`data[].paragraphs[].context` is the abstract of a PubMed article and becomes one row. The challenge's own layout:
`questions[]`, each with snippets of abstracts, one row each, and an ideal answer, which is a list or, in some old files, a
string. Snippets of one abstract share a group; several questions may quote the same abstract.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dapt.core.rows import text_id
from dapt.corpus.records import Record, original_text
from dapt.corpus.tables import document
from dapt.telling.errors import UserError

ORIGINAL_LEAST = 31  # the original project's rule: more than 30 characters


def read(files: list[Path], answers: bool = False) -> Iterator[Record]:
    """`answers`: in the challenge's layout, each ideal answer becomes a row as well."""
    for path in files:
        value = document(path)
        names = value.keys() if isinstance(value, dict) else ()
        if "questions" in names:
            for question in _parts(value, "questions"):
                yield from _snippets(question)
                if answers:
                    yield from _answers(question)
        elif "data" in names:
            for article in _parts(value, "data"):
                yield from map(_abstract, _parts(article, "paragraphs"))
        else:
            raise UserError(
                f"{path.name} is in neither of BioASQ's layouts: it has neither a list `data` (SQuAD) nor a list "
                "`questions` (the challenge); use the training file as downloaded"
            )


def _parts(value: object, name: str) -> list:
    """The list `name` of an object; if there is none, a list of one None, so that it is counted as a row."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else [None]


def _string(value: object, name: str) -> str | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def _record(text: str | None, source: str | None, **more: Any) -> Record:
    if text is None:
        return Record("", "bioasq:", drop="not text")
    return Record(text, f"bioasq:{source or text_id(text)}", **more)


def _abstract(paragraph: object) -> Record:
    text = _string(paragraph, "context")
    return _record(text, None, original=original_text(text or "", ORIGINAL_LEAST))


def _snippets(question: object) -> Iterator[Record]:
    for snippet in _parts(question, "snippets"):
        yield _record(_string(snippet, "text"), _string(snippet, "document"))


def _answers(question: object) -> Iterator[Record]:
    single = _string(question, "ideal_answer")
    for answer in _parts(question, "ideal_answer") if single is None else [single]:
        yield _record(answer if isinstance(answer, str) else None, _string(question, "id"))
