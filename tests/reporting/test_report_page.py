"""The page, its twin and the pictures, from the committed metrics."""

import json
import re
import shutil
from html.parser import HTMLParser

from dapt.core.files import write_json
from dapt.reporting.markdown import page
from dapt.reporting.metrics import Figures
from dapt.reporting.report_page import markdown
from repositories import committed_params

PARAMS = committed_params()


def test_the_first_lines_name_the_best_model_of_each_domain_whichever_is_chosen(twin, committed_metrics):
    matrix = json.loads((committed_metrics / "comparison.json").read_text())["matrix"]
    _, _, *lines = twin.splitlines()[: 2 + len(PARAMS.domains)]
    for line, domain in zip(lines, PARAMS.domains):
        assert line.startswith(f"- For {domain}, ")
        if domain in PARAMS.heldout:
            best = min(matrix, key=lambda name: matrix[name][domain]["loss"])
            assert f"use {best} (lowest loss on held-out {domain}): {matrix[best][domain]['loss']:.3f} [" in line
    finance = PARAMS.model_copy(update={"domain": "finance"})
    assert markdown(finance, Figures.read(finance, committed_metrics)) == twin


def test_what_is_not_pinned_is_named_where_there_is_something(twin, committed_metrics):
    full = PARAMS.model_copy(update={"profile": "full"})
    assert "may read other text: Hmehdi515/biomedical_en-de." in markdown(full, Figures.read(full, committed_metrics))
    assert "ot pinned" not in twin


def test_a_corpus_that_is_not_enabled_is_said_so(committed_metrics):
    off = PARAMS.corpora | {"biomed_mlm": PARAMS.corpora["biomed_mlm"].model_copy(update={"enabled": False})}
    params = PARAMS.model_copy(update={"corpora": off})
    told = markdown(params, Figures.read(params, committed_metrics))
    assert "| biomed_mlm | not enabled |" in told and "| biomed_mlm_2 | healthtweets |" in told


def test_a_base_with_a_useless_head_is_named(twin, committed_metrics, tmp_path):
    shutil.copytree(committed_metrics, tmp_path / "metrics")
    base = json.loads((committed_metrics / "base.json").read_text())
    assert (
        str(base["probe_after"]) in twin
        and str(base["probe_unigram"]) in twin
        and "The base has a trained head" in twin
    )
    write_json(tmp_path / "metrics/base.json", base | {"head_after": "untrained"})
    assert "The base's head is untrained (below): any training on any text beats it." in markdown(
        PARAMS, Figures.read(PARAMS, tmp_path / "metrics")
    )


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


def test_every_figure_of_the_matrix_stands_on_the_page(twin, pictures, committed_metrics):
    comparison = json.loads((committed_metrics / "comparison.json").read_text())
    words = " ".join(Page(page(twin, pictures)).words)
    for cells in comparison["matrix"].values():
        for cell in cells.values():
            assert f"{cell['loss']:.3f} [{cell['loss_ci95'][0]:.3f}, {cell['loss_ci95'][1]:.3f}]" in words
            assert f"{cell['accuracy']:.3f} / {cell['accuracy_top5']:.3f}" in words
    assert f"use {comparison['choice']['model']}" in words
    for figure, (best, second, *_) in comparison["best"].items():
        assert f"{figure} {best['model']} {best['value']:.3f} {second['model']} {second['gap']['diff']:+.3f} [" in words
    for task, models in comparison["tasks"].items():
        assert PARAMS.tasks[task].about["sample"] in words
        for cell in models.values():
            assert f"{cell['mean']:.3f} ± {cell['sd']:.3f}" in words
            assert "vs_base" not in cell or f"{cell['vs_base']['diff']:+.3f} [" in words


def test_what_a_reader_must_know_of_a_source_and_what_a_model_was_trained_on_stands_there(twin, committed_metrics):
    full = PARAMS.model_copy(update={"profile": "full"})
    assert "wikitext: BERT was trained on Wikipedia, so the base has read this text before." in markdown(
        full, Figures.read(full, committed_metrics)
    )
    assert "BERT was trained on Wikipedia" not in twin
    assert "| biomed | biomed_mlm (hpo), biomed_mlm_2 (healthtweets) |" in twin
