"""The page and its Markdown twin, from the committed metrics."""

import copy
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from dapt.core.files import write_json
from dapt.reporting import data_card
from dapt.reporting.metrics import Figures
from dapt.reporting.page import bundle, page
from dapt.reporting.report_page import markdown
from repositories import committed_params

PARAMS = committed_params()


def test_the_first_lines_name_the_best_model_of_each_domain_whichever_is_chosen(twin, committed_metrics):
    matrix = json.loads((committed_metrics / "comparison.json").read_text())["matrix"]
    domains = [domain for domain in PARAMS.domains if domain != PARAMS.control]
    lines = twin.split("## Verdict\n\n")[1].splitlines()[: len(domains)]
    for line, domain in zip(lines, domains, strict=True):
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
        and "The head of the base is trained" in twin
    )
    write_json(tmp_path / "metrics/base.json", base | {"head_after": "untrained"})
    assert "The head of the base is untrained (see Base model), so training on any text improves on it." in markdown(
        PARAMS, Figures.read(PARAMS, tmp_path / "metrics")
    )


class Page(HTMLParser):
    """A page's tags, what it links to or fetches, and its words, without those of scripts and styles."""

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
        if self.tags[-1:] not in (["script"], ["style"]):
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def whole(twin, charts) -> str:
    return page(twin, charts)


def test_the_page_fetches_nothing_and_is_below_1_mb_without_vega(twin, charts, whole):
    found = Page(whole)
    assert found.links == ["data.html"] and "img" not in found.tags
    assert whole.replace(bundle(), "").count("<svg ") == len(charts) == 7
    assert {f"({name}.svg)" for name in charts} == set(re.findall(r"\([\w.-]+\.svg\)", twin))
    assert found.tags.count("table") == len(re.findall(r"\n\|[ -]*---", twin))
    assert whole.count(bundle()) == 1 and len(whole.encode()) - len(bundle().encode()) < 1_000_000


def test_the_contents_lead_to_every_section(twin, whole):
    sections = re.findall(r"^## (.*)$", twin, flags=re.MULTILINE)
    contents = re.findall(r'<li><a href="#([\w-]+)">(.*)</a></li>', whole)
    assert [words for _, words in contents] == sections and len(sections) > 8
    assert all(whole.count(f'<h2 id="{anchor}">') == 1 for anchor, _ in contents)


def test_the_verdict_comes_before_the_matrix_and_the_tasks_and_these_before_all_tables(twin):
    places = [twin.index(part) for part in ("- For biomed, use", "(matrix.svg)", "(tasks.svg)", "\n| ")]
    assert places == sorted(places)


def test_every_figure_of_the_matrix_is_on_the_page(whole, committed_metrics):
    comparison = json.loads((committed_metrics / "comparison.json").read_text())
    words = Page(whole).text
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


def test_the_best_of_each_column_is_bold(twin, committed_metrics):
    comparison = json.loads((committed_metrics / "comparison.json").read_text())
    lowest = [min(cells[name]["loss"] for cells in comparison["matrix"].values()) for name in PARAMS.heldout]
    highest = [max(cell["mean"] for cell in models.values()) for models in comparison["tasks"].values()]
    bold = re.findall(r"\*\*(\d\.\d+)", twin)
    assert sorted(bold) == sorted(f"{figure:.3f}" for figure in lowest + highest)


def test_mistakes_are_printed_in_words_where_the_licence_allows_it(twin, whole, committed_metrics):
    found = json.loads((committed_metrics / "mistakes.json").read_text())
    shown = {task: ["text" in row for of in models.values() for row in of["worst"]] for task, models in found.items()}
    assert all(shown["biomed_topic"]) and all(shown["multiple_choice"]), "the ontology's licence allows it"
    assert not any(shown["finance_classification"]) and not any(shown["answer_ranking"])
    words = Page(whole).text
    for row in found["multiple_choice"]["base"]["worst"][:2]:
        assert " ".join(f"{row['text']} {row['right_text']} {row['predicted_text']}".split()) in words
    hidden = found["finance_classification"]["base"]["worst"][0]
    assert f"`{hidden['id']}` | {hidden['right']} |" in twin


def with_more(params, folder):
    """The committed run with a domain, a held-out set and a task of one's own, as `dapt add` and the pipeline add them:
    copies of others under new names."""

    def copied(name: str, old: str, new: str) -> None:
        write_json(folder / name.format(new), json.loads((folder / name.format(old)).read_text()))

    for part in ("train", "eval"):
        copied(f"{part}/{{}}.json", "biomed", "law")
    copied("clean/{}.json", "general", "law_text")
    shutil.copytree(folder / "tasks/biomed_topic", folder / "tasks/clauses")
    read = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in ("split", "validate", "comparison", "mistakes")
    }
    for name in params.models:
        path = folder / f"eval/{name}.json"
        evaluated = json.loads(path.read_text())
        write_json(path, evaluated | {"law": evaluated["biomed"]})
    split, matrix = read["split"], read["comparison"]["matrix"]
    split["sets"]["law"], split["corpora"]["law_text"] = split["sets"]["biomed"], split["corpora"]["general"]
    split["tasks"]["clauses"] = split["tasks"]["biomed_topic"]
    split["held_by"] = {name: of | {"law_text": 7} for name, of in split["held_by"].items()}
    split["held_by"]["law_text"] = dict.fromkeys(params.corpora, 0)
    read["validate"]["law_text"] = read["validate"]["general"]
    matrix |= {"law": copy.deepcopy(matrix["biomed"])}
    for cells in matrix.values():
        cells["law"] = cells["biomed"]
        for cell in cells.values():
            cell["vs"] = {"law": {"diff": 0.1, "ci95": [0.0, 0.2]}} | cell.get("vs", {})
    read["comparison"]["tasks"]["clauses"] = read["comparison"]["tasks"]["biomed_topic"]
    read["comparison"]["best"]["loss on law"] = read["comparison"]["best"]["loss on biomed"]
    read["mistakes"]["clauses"] = read["mistakes"]["biomed_topic"]
    for name, content in read.items():
        (folder / f"{name}.json").unlink()
        write_json(folder / f"{name}.json", content)
    profile = params.active.model_copy(
        update={
            "corpora": params.active.corpora | {"law_text": params.active.corpora["general"]},
            "tasks": params.active.tasks | {"clauses": params.active.tasks["biomed_topic"]},
        }
    )
    return params.model_copy(
        update={
            "domains": params.domains | {"law": ["law_text"]},
            "heldout": [*params.heldout, "law"],
            "models": [*params.models, "law"],
            "corpora": params.corpora | {"law_text": params.corpora["general"]},
            "tasks": params.tasks | {"clauses": params.tasks["biomed_topic"]},
            "profiles": params.profiles | {params.profile: profile},
        }
    )


def sections(text: str) -> dict[str, str]:
    """By the heading of the second level."""
    return {part.split("\n")[0]: part for part in text.split("\n## ")[1:]}


def test_a_domain_and_a_task_of_ones_own_are_in_every_section(committed_metrics, tmp_path):
    shutil.copytree(committed_metrics, tmp_path / "metrics")
    params = with_more(PARAMS, tmp_path / "metrics")
    found = Figures.read(params, tmp_path / "metrics")
    of_report, of_card = sections(markdown(params, found)), sections(data_card.markdown(params, found))
    for heading in ("Verdict", "Best models", "Loss on held-out text", "Training", "Corpora", "Reproduce"):
        assert re.search(r"\blaw\b", of_report[heading]), heading
    for heading in ("Downstream tasks", "Errors", "Reproduce"):
        assert "clauses" in of_report[heading], heading
    for heading in ("Rows", "Lengths", "Languages", "Dropped and repaired by cleaning", "Overlap between corpora"):
        assert "law_text" in of_card[heading], heading
    assert "clauses" in of_card["Tasks"]


def test_what_a_reader_must_know_of_a_source_and_what_a_model_was_trained_on_are_there(twin, committed_metrics):
    full = PARAMS.model_copy(update={"profile": "full"})
    assert "wikitext: BERT was trained on Wikipedia, so the base has read this text before." in markdown(
        full, Figures.read(full, committed_metrics)
    )
    assert "BERT was trained on Wikipedia" not in twin
    assert "| biomed | biomed_mlm (hpo), biomed_mlm_2 (healthtweets) |" in twin
