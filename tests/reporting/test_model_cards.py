"""A model's card, as the hub reads it."""

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from dapt.reporting.metrics import Figures
from dapt.reporting.model_cards import card
from repositories import committed_params

PARAMS = committed_params()


def test_a_card_names_what_the_model_was_made_from_and_is_one_of_the_hubs(committed_metrics):
    measured = Figures.read(PARAMS, committed_metrics)
    for params in (PARAMS, PARAMS.model_copy(update={"profile": "full"})):
        for name in params.models:
            text = card(params, name, measured)
            found = ModelCard(text)
            assert (
                found.data.library_name == "transformers" and found.data.license == "other" and name in found.data.tags
            )
            figures = {(one.dataset_type, one.metric_type): one.metric_value for one in found.data.eval_results}
            general = all(source.licence in found.text for source in params.active.corpora["general"])
            assert general, "the base's head was repaired on general text"
            assert figures == {
                (held_out, metric): cell[metric]
                for held_out, cell in measured.comparison["matrix"][name].items()
                for metric in ("loss", "perplexity", "accuracy")
            }
            for corpus in params.domains.get(name, []):
                sources = params.active.corpora[corpus]
                assert corpus in found.text and all(source.licence in found.text for source in sources)
                assert all(source.hub.repo in found.data.datasets for source in sources if source.hub)
    assert found.data.base_model == "bhadresh-savani/bert-base-go-emotion"


@pytest.mark.parametrize(
    "detected, language, told",
    [
        ({"en": 70, "in doubt": 30}, "en", ", in English."),
        ({"de": 60, "in doubt": 900}, "de", ", in the languages of its text (de)."),
        ({"en": 30, "de": 68, "nl": 2}, ["de", "en"], ", in the languages of its text (de, en)."),
        ({"in doubt": 5}, None, "text of this domain. It"),
    ],
    ids=["English", "German", "two, and mistakes of the detector", "nothing certain"],
)
def test_the_languages_are_those_that_were_detected(committed_metrics, detected, language, told):
    measured = Figures.read(PARAMS, committed_metrics)
    measured.base["steps"] = 0  # so no general text was read
    validated = {corpus: {"sample": {"languages": detected}} for corpus in PARAMS.domains["finance"]}
    text = card(PARAMS, "finance", replace(measured, validate=validated))
    assert ModelCard(text).data.language == language and told in " ".join(text.split())
