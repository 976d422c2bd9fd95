"""All stand-ins for text."""

from collections.abc import Iterator

from rehearsal.biomedical import bioasq, english_german, medmcqa
from rehearsal.finance import fiqa, news, phrasebank
from rehearsal.general import wikitext
from rehearsal.stand_in import StandIn
from rehearsal.text import Words


def stand_ins(words: dict[str, Words], scale: float = 1.0) -> Iterator[StandIn]:
    """One after the other, so that only one of them is in memory; `scale` shortens them all."""
    bank, shared = phrasebank(words["finance"], scale)
    yield bank
    yield news(words["finance"], shared, scale)
    yield fiqa(words["finance"], scale)
    yield bioasq(words["clinical"], scale)
    yield english_german(words["clinical"], words["german"], scale)
    yield medmcqa(words["clinical"], scale)
    yield wikitext(words["general"], scale)
