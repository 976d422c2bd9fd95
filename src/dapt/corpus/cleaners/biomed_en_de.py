"""Biomedical texts in English and German (Hmehdi515/biomedical_en-de): the English side of the column `text`.

A value is an object with `en` and `de`, the JSON of such an object, or plain text, which may be German. A text is left out
as German if py3langid, choosing between the two languages, is at least 90 % sure; otherwise it is kept. Of texts of at least
50 characters this removes 516 of 517 German sentences of the bio-MQM set (the last is the English title of a paper) and none
of its 509 English ones, of 14,221 definitions of the Human Phenotype Ontology, of 3,255 parts of abstracts in PubMedQA and of
5,057 questions and explanations of MedMCQA.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from dapt.core.rows import text_id
from dapt.corpus.language import language
from dapt.corpus.records import Record, original_text
from dapt.corpus.tables import rows, sound

MINIMUM = 49  # the original project's rule: 50 characters or more


def english_side(value: object) -> object:
    """The text of a value; a value without text is returned unchanged.

    >>> english_side({"en": "heart", "de": "Herz"}), english_side('{"en": "heart"}'), english_side("{a} heart")
    ('heart', 'heart', '{a} heart')
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = sound(json.loads(value), value)
        except (ValueError, RecursionError):
            return value
    return value.get("en") if isinstance(value, dict) else value


def read(files: list[Path]) -> Iterator[Record]:
    for path in files:
        for row in rows(path, (), ("text",)):
            text = english_side(row.get("text"))
            if isinstance(text, str):
                drop = "not English" if language(text, "de", "en") == "de" else None
                yield Record(text, f"biomed_en_de:{text_id(text)}", drop=drop, original=original_text(text, 50))
            else:
                yield Record("", "biomed_en_de:", drop="not text")
