"""The data card, from the committed metrics, and with a corpus that is not enabled."""

import json
import shutil
from pathlib import Path

import pytest

from dapt.core.config import Params
from dapt.reporting import data_card
from dapt.reporting.data_card import listed
from dapt.reporting.metrics import Figures
from repositories import committed_params

PARAMS = committed_params()


@pytest.fixture()
def metrics(committed_metrics, tmp_path) -> Path:
    shutil.copytree(committed_metrics, tmp_path / "metrics")
    return tmp_path / "metrics"


def markdown(metrics: Path, params: Params = PARAMS) -> str:
    return data_card.markdown(params, Figures.read(params, metrics))


def cells(card: str, first: str) -> list[str]:
    """The first table row that begins with `first`."""
    return [cell.strip() for cell in card.split(f"\n| {first} | ")[1].split("\n")[0].split("|")]


def change(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_totals_are_the_sums_of_the_corpora(metrics):
    card = markdown(metrics)
    kept = {name: json.loads((metrics / f"clean/{name}.json").read_text())["kept"] for name in PARAMS.corpora}
    for part, wanted in {"**unlabelled**": {False}, "**labelled**": {True}, "**all**": {False, True}}.items():
        total = sum(kept[name] for name, corpus in PARAMS.corpora.items() if corpus.labelled in wanted)
        assert cells(card, part)[1] == f"{total:,}"


def test_the_seeds_table_stands_beside_what_its_rule_keeps(metrics):
    rules = {"biomed_mlm": (2_511, 2_511), "biomed_mlm_2": (11_100, 11_145), "medmcqa_labeled": (178_743, 178_743)}
    for name, (kept, expected) in rules.items():
        change(metrics / f"clean/{name}.json", original_rule={"kept": kept, "expected": expected})
    card = markdown(metrics)
    assert cells(card, "biomed_mlm")[3:5] == ["2,511", "2,511"]
    assert cells(card, "biomed_mlm_2")[3:5] == ["11,100", "11,145 (-45)"]
    assert cells(card, "general")[3:5] == ["–", "–"]
    assert cells(card, "**unlabelled** of the original project's")[3:5] == ["13,611", "13,656"]
    assert cells(card, "**all** of the original project's")[3:5] == ["192,354", "192,399"]


def test_corpora_that_are_one_show(metrics):
    split = json.loads((metrics / "split.json").read_text())
    split["held_by"]["finance_mlm2"]["finance_mlm1"] = 19_912
    change(metrics / "split.json", held_by=split["held_by"])
    card = markdown(metrics).split("## Overlap")[1]
    assert "19,912" in cells(card, "finance_mlm2")


def test_what_is_not_enabled_is_named(metrics):
    off = committed_params(("params.yaml", "biomed_mlm: {enabled: true", "biomed_mlm: {enabled: false"))
    assert "Not enabled, and empty here: biomed_mlm." in markdown(metrics, off)
    assert "Not enabled" not in markdown(metrics)


def test_texts_are_shown_as_they_are_and_only_where_the_licence_allows_it(metrics):
    valid = json.loads((metrics / "validate.json").read_text())
    assert {name for name, figures in valid.items() if name != "made_from" and figures["shown"]} == {
        "biomed_mlm",
        "medmcqa_labeled",
    }
    card = markdown(metrics)
    assert f"\n    {valid['biomed_mlm']['shown'][0]}\n" in card


def test_counts_are_listed_from_the_most_frequent():
    assert listed({"rare": 2, "often": 1_200}) == "1,200 often, 2 rare" and listed({}) == "–"


def test_tasks_stand_there_with_their_leaks(metrics):
    split = json.loads((metrics / "split.json").read_text())
    task = {"train": 1_000, "valid": 20, "test": 30, "group_of_a_test_row": 2, "train_like_test": 4, "other_rows": 5}
    change(metrics / "split.json", tasks=split["tasks"] | {"t": task})
    assert cells(markdown(metrics), "t")[:6] == ["1,000", "20", "30", "2", "4", "5"]
