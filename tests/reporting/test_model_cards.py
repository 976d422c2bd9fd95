"""A model's card, as the hub reads it."""

import json

from huggingface_hub import ModelCard

from dapt.core.files import numbers
from dapt.reporting.model_cards import card
from repositories import committed_params

PARAMS = committed_params()


def test_a_card_names_what_the_model_was_made_from_and_is_one_of_the_hubs(committed_metrics):
    comparison, base = (json.loads((committed_metrics / f"{name}.json").read_text()) for name in ("comparison", "base"))
    for params in (PARAMS, PARAMS.model_copy(update={"profile": "full"})):
        for name in params.models:
            text = card(params, name, comparison, numbers(committed_metrics / "train"), base)
            found = ModelCard(text)
            assert (
                found.data.library_name == "transformers" and found.data.license == "other" and name in found.data.tags
            )
            figures = {(one.dataset_type, one.metric_type): one.metric_value for one in found.data.eval_results}
            general = all(source.licence in found.text for source in params.active.corpora["general"])
            assert general, "the base's head was repaired on general text"
            assert figures == {
                (held_out, metric): cell[metric]
                for held_out, cell in comparison["matrix"][name].items()
                for metric in ("loss", "perplexity", "accuracy")
            }
            for corpus in params.domains.get(name, []):
                sources = params.active.corpora[corpus]
                assert corpus in found.text and all(source.licence in found.text for source in sources)
                assert all(source.hub.repo in found.data.datasets for source in sources if source.hub)
    assert found.data.base_model == "bhadresh-savani/bert-base-go-emotion"
