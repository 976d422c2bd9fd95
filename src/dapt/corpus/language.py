"""The language of a text, detected by py3langid, whose model is part of its wheel."""

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

SURE = 0.9
ENDS = 250  # characters at either end of a text that are used; more would only take longer


@cache
def _identifier(among: tuple[str, ...]) -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(among) or None)
    return identifier


def language(text: str, *among: str) -> str | None:
    """The ISO 639-1 code of a text's language, one of `among` if given; None if it is uncertain.

    >>> language("Die Patienten wurden nach der Operation untersucht."), language("10 mg"), language("10 mg", "de", "en")
    ('de', None, None)
    """
    told_by = text if len(text) <= 2 * ENDS else f"{text[:ENDS]} {text[-ENDS:]}"
    code, probability = _identifier(among).classify(told_by)
    return code if probability >= SURE else None
