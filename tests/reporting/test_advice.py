"""Which model to use for a domain."""

import copy
import json

import pytest

from dapt.reporting.advice import advice
from repositories import committed_params

PARAMS = committed_params()


@pytest.fixture()
def comparison(committed_metrics) -> dict:
    return json.loads((committed_metrics / "comparison.json").read_text())


def with_law(heldout: list[str]):
    """The committed settings with a domain that was just added."""
    corpora = PARAMS.corpora | {"law": PARAMS.corpora["general"]}
    domains = PARAMS.domains | {"law": ["law"]}
    return PARAMS.model_copy(update={"corpora": corpora, "domains": domains, "heldout": PARAMS.heldout + heldout})


@pytest.mark.parametrize("domain", ["biomed", "finance", "general"])
def test_the_model_with_the_lowest_loss_on_the_domains_set_is_named_with_its_lead(comparison, domain):
    losses = {name: cells[domain] for name, cells in comparison["matrix"].items()}
    first, second = sorted(losses, key=lambda name: losses[name]["loss"])[:2]
    (low, high), best = losses[first]["loss_ci95"], losses[first]["loss"]
    said = advice(PARAMS, comparison, domain)
    assert said.startswith(
        f"For {domain}, use {first} (lowest loss on held-out {domain}): {best:.3f} [{low:.3f}, {high:.3f}]; "
        f"the next best is {second} with {losses[second]['loss']:.3f}, a difference of {best - losses[second]['loss']:.3f} ["
    )
    assert said.endswith(", significant.")


def test_a_domain_of_several_sets_goes_by_their_mean(comparison):
    ranking = [{"model": "finance", "value": 2.0}]
    ranking.append({"model": "base", "value": 2.5, "gap": {"diff": -0.5, "ci95": [-1.1, 0.1]}, "significant": False})
    comparison["best"] = {"mean loss over biomed, finance": ranking}
    assert advice(PARAMS, comparison, "biomed_finance") == (
        "For biomed_finance, use finance (lowest mean loss on held-out biomed and finance): 2.000; the next best is "
        "base with 2.500, a difference of -0.500 [-1.100, 0.100], not significant."
    )


def test_of_a_single_group_no_interval_is_shown(comparison):
    single = copy.deepcopy(comparison)
    single["matrix"]["biomed"]["biomed"]["loss_ci95"] = single["best"]["loss on biomed"][1]["gap"]["ci95"] = None
    assert "): 3.918; the next best" in advice(PARAMS, single, "biomed") and "[" not in advice(PARAMS, single, "biomed")


def test_a_domain_without_a_comparison_says_what_to_run(comparison):
    assert advice(with_law(["law"]), comparison, "law") == (
        "For law, the models have not been compared yet: run dvc repro compare."
    )
    assert "heldout in params.yaml contains no set" in advice(with_law([]), comparison, "law")
