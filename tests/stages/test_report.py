"""The page, its twin and the pictures, from the committed metrics."""

import json
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from huggingface_hub import ModelCard

from dapt.core import config
from dapt.core.files import numbers, write_json
from dapt.reporting import plots, task_sections
from dapt.reporting.markdown import page
from dapt.reporting.model_cards import card
from dapt.reporting.report_page import markdown
from dapt.reporting.tables import signed
from repositories import ROOT

PARAMS = config.parse((ROOT / "params.yaml").read_text())


@pytest.fixture(scope="module")
def twin() -> str:
    return markdown(PARAMS, ROOT / "metrics")


def test_what_is_not_pinned_is_named_where_there_is_something(twin):
    full = PARAMS.model_copy(update={"profile": "full"})
    assert "may read other text: Hmehdi515/biomedical_en-de." in markdown(full, ROOT / "metrics")
    assert "ot pinned" not in twin


def test_a_base_with_a_useless_head_is_named(twin, tmp_path):
    shutil.copytree(ROOT / "metrics", tmp_path / "metrics")
    base = json.loads((ROOT / "metrics/base.json").read_text())
    assert (
        str(base["probe_after"]) in twin
        and str(base["probe_unigram"]) in twin
        and "The base has a trained head" in twin
    )
    write_json(tmp_path / "metrics/base.json", base | {"head_after": "untrained"})
    assert "The base's head is untrained (below): any training on any text beats it." in markdown(
        PARAMS, tmp_path / "metrics"
    )


@pytest.fixture()
def pictures(monkeypatch) -> dict[str, str]:
    monkeypatch.chdir(ROOT)
    return {name: plots.svg(spec) for name, spec in plots.figures().items()}


class Page(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.tags, self.links, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [
            value for name, value in attributes if name in ("src", "href") and value and not value.startswith("#")
        ]

    def handle_data(self, data):
        self.words += data.split()


def test_the_page_holds_all_that_it_shows(twin, pictures):
    found = Page(page(twin, pictures))
    assert not found.links and "script" not in found.tags and "img" not in found.tags
    assert found.tags.count("svg") == len(pictures) == 6 and {f"({name}.svg)" for name in pictures} == set(
        re.findall(r"\([\w.-]+\.svg\)", twin)
    )
    assert found.tags.count("table") == len(re.findall(r"\n\|[ -]*---", twin))


def test_every_figure_of_the_matrix_stands_on_the_page(twin, pictures):
    comparison = json.loads((ROOT / "metrics/comparison.json").read_text())
    words = " ".join(Page(page(twin, pictures)).words)
    for cells in comparison["matrix"].values():
        for cell in cells.values():
            assert f"{cell['loss']:.3f} [{cell['loss_ci95'][0]:.3f}, {cell['loss_ci95'][1]:.3f}]" in words
            assert f"{cell['accuracy']:.3f} / {cell['accuracy_top5']:.3f}" in words
    assert f"Use {comparison['choice']['model']}" in words
    for figure, (best, second, *_) in comparison["best"].items():
        assert f"{figure} {best['model']} {best['value']:.3f} {second['model']} {second['gap']['diff']:+.3f} [" in words
    for task, models in comparison["tasks"].items():
        assert PARAMS.tasks[task].about["sample"] in words
        for cell in models.values():
            assert f"{cell['mean']:.3f} ± {cell['sd']:.3f}" in words
            assert "vs_base" not in cell or f"{cell['vs_base']['diff']:+.3f} [" in words


def test_what_a_reader_must_know_of_a_source_and_what_a_model_was_trained_on_stands_there(twin):
    full = PARAMS.model_copy(update={"profile": "full"})
    assert "wikitext: BERT was trained on Wikipedia, so the base has read this text before." in markdown(
        full, ROOT / "metrics"
    )
    assert "BERT was trained on Wikipedia" not in twin
    assert "| biomed | biomed_mlm (hpo), biomed_mlm_2 (healthtweets) |" in twin


def test_a_model_that_loses_to_counting_words_is_named():
    tasks = {
        "one": {
            "base": {"vs_free": {"name": "tfidf", "diff": -0.1, "ci95": [-0.2, -0.01], "p_adjusted": 0.04}},
            "biomed": {"vs_free": {"name": "tfidf", "diff": -0.1, "ci95": [-0.2, 0.01], "p_adjusted": 0.06}},
            "finance": {"vs_free": {"name": "tfidf", "diff": 0.1, "ci95": [0.01, 0.2], "p_adjusted": 0.04}},
            "tfidf": {},
        }
    }
    assert (
        "**These lose to a free baseline, beyond noise: on one (to tfidf) base.** Behind one, within noise: on one (to tfidf) biomed.\n"
        in task_sections.free(tasks)
    )
    del tasks["one"]["base"]
    assert task_sections.free(tasks).startswith(
        "No model loses to a free baseline beyond noise. Behind one, within noise: on one"
    )
    del tasks["one"]["biomed"]
    assert task_sections.free(tasks).startswith("No model loses to a free baseline beyond noise.\n\n| task |")


def test_a_baseline_on_the_rows_of_a_limit_is_named_where_there_is_one():
    figures = {"one": {"base": {}, "tfidf": {"same_rows": {"accuracy": 0.5, "macro_f1": 0.25}}}}
    assert "fewer than all: tfidf on one accuracy 0.500, macro_f1 0.250." in task_sections.on_same_rows(figures)
    del figures["one"]["tfidf"]["same_rows"]
    assert not task_sections.on_same_rows(figures)


def test_pictures_are_svg_with_the_figures_of_the_tables(pictures):
    rows = plots.read_csv(ROOT / "metrics/crossdomain.csv")
    shown = {node.text for node in ElementTree.fromstring(pictures["matrix"]).iter() if node.text}
    assert {f"{row['loss']:.2f}" for row in rows} <= shown and {row["model"] for row in rows} <= shown
    curves = {node.text for node in ElementTree.fromstring(pictures["curves"]).iter() if node.text}
    assert set(PARAMS.domains) <= curves
    tasks = {node.text for node in ElementTree.fromstring(pictures["tasks"]).iter() if node.text}
    named = {*PARAMS.tasks, *PARAMS.finetuned, *(task.words for task in PARAMS.tasks.values())}
    calibration = {node.text for node in ElementTree.fromstring(pictures["calibration"]).iter() if node.text}
    assert named <= tasks and {*PARAMS.tasks, *PARAMS.finetuned} <= calibration and "bm25" not in calibration
    for task in ("finance_classification", "biomed_topic"):
        rows = plots.read_csv(ROOT / f"metrics/confusion/{task}.csv")
        shown = {node.text for node in ElementTree.fromstring(pictures[f"confusion_{task}"]).iter() if node.text}
        assert {f"{task}, {name}" for name in PARAMS.finetuned} | {row["right"] for row in rows} <= shown
        assert {f"{row['share'] * 100:.0f}" for row in rows if row["share"] >= 0.05} <= shown


def test_pictures_go_out_as_svg_pdf_and_png(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    plots.run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.{kind}"
        for name in (
            "calibration",
            "confusion_biomed_topic",
            "confusion_finance_classification",
            "curves",
            "matrix",
            "tasks",
        )
        for kind in ("pdf", "png", "svg")
    ]
    for kind, begin in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert all(path.read_bytes().startswith(begin) for path in tmp_path.glob(f"*.{kind}"))


def test_the_offline_page_is_the_one_that_the_library_gives(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plots.write_page()
    assert (tmp_path / plots.PAGE).read_bytes() == (ROOT / plots.PAGE).read_bytes()


def test_a_card_names_what_the_model_was_made_from_and_is_one_of_the_hubs():
    comparison, base = (json.loads((ROOT / f"metrics/{name}.json").read_text()) for name in ("comparison", "base"))
    for params in (PARAMS, PARAMS.model_copy(update={"profile": "full"})):
        for name in params.models:
            text = card(params, name, comparison, numbers(ROOT / "metrics/train"), base)
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


def test_a_difference_that_may_be_nothing_is_called_noise():
    assert signed({"diff": -0.2, "ci95": [-0.3, -0.1]}) == "-0.200 [-0.300, -0.100]"
    assert signed({"diff": 0.2, "ci95": [-0.1, 0.5]}).endswith("(noise)")
    assert signed(None) == "–"
