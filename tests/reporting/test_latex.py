"""The tables for a paper, read back by a small parser of their rows."""

import json
import re

import pytest

from dapt.reporting.latex import escape, latex

PLAIN = {r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^"}
PLAIN |= {r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|"} | {f"\\{one}": one for one in "&%$#_{}"}
SPECIAL = re.compile("|".join(map(re.escape, PLAIN)))
FIGURE = re.compile(
    r"^\$(?P<bold>\\mathbf\{)?(?P<figure>[+-]?\d+\.\d{3})(?(bold)\})(?P<mark>\^\{(\*|\\dagger)\})?"
    r"(?P<spread>_\{\[(?P<low>\S+),\\,(?P<high>\S+)\]\}| \\pm \d\.\d{3})?\$$"
)
ODD = {"biomed_finance": r"my_model a&b 100%", "finance_classification": r"$x^2$ #1 {~}\_<|>", "tfidf": "50% & more"}


@pytest.fixture(scope="module")
def comparison(committed_metrics) -> dict:
    return json.loads((committed_metrics / "comparison.json").read_text())


def renamed(of, names: dict[str, str]):
    """The same with other names of models, sets and tasks."""
    if isinstance(of, dict):
        return {names.get(key, key): renamed(value, names) for key, value in of.items()}
    return of


def read(text: str) -> dict[str, tuple[str, str, list[list[str]]]]:
    """Label → caption, columns and rows of cells, of each table."""
    found = {}
    for of in re.findall(r"\\begin\{table\}.*?\\end\{table\}", text, re.S):
        label, caption = re.search(r"\\label\{tab:(.*)\}", of)[1], re.search(r"\\caption\{(.*)\}\n", of)[1]
        columns, body = re.search(r"\\begin\{tabular\}\{(\w+)\}\n\\toprule\n(.*)\\bottomrule\n", of, re.S).groups()
        lines = [line.removesuffix(r" \\") for line in body.splitlines() if line != r"\midrule"]
        found[label] = caption, columns, [re.split(r"(?<!\\) ?& ", line) for line in lines]
    return found


def figures(rows: list[list[str]]) -> dict[str, list[re.Match | None]]:
    """Model → its figures, of rows without a header."""
    return {row[0]: [None if cell == "--" else FIGURE.match(cell) for cell in row[1:]] for row in rows}


def plain(text: str) -> str:
    return SPECIAL.sub(lambda match: PLAIN[match[0]], text)


@pytest.mark.parametrize("names", [{}, ODD])
def test_every_row_has_the_columns_of_its_table_and_nothing_is_left_unescaped(comparison, names):
    text = latex(renamed(comparison, names), ["commit abc"])
    assert text.startswith("% commit abc\n% needs \\usepackage{booktabs}")
    tables = read(text)
    assert list(tables) == ["losses", "losses-vs-base", "losses-vs-control", "tasks", "tasks-vs-base"]
    seen = set()
    for caption, columns, rows in tables.values():
        assert caption and {len(row) for row in rows} == {len(columns)}
        words = [cell for row in rows for cell in row if not FIGURE.match(cell)]
        seen |= {plain(word) for word in words}
        for word in words:
            assert not re.search(r"[&%$#_{}~^\\<>|]", SPECIAL.sub("", word)), word
    assert {names.get(name, name) for name in ("biomed_finance", "finance_classification", "tfidf", "bm25")} <= seen
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}") and re.sub(r"\\\$", "", text).count("$") % 2 == 0
    assert not re.search(r"-\d|±|–|−", re.sub(r"\$[^$]*\$", "", bare)) or names  # a minus is one of mathematics


def test_special_characters_are_escaped_one_by_one():
    for name in (*ODD.values(), "\\textbackslash{}", "plain.name-1"):
        assert plain(escape(name)) == name and (escape(name) == name) == (name == "plain.name-1")


def test_figures_and_intervals_are_those_of_the_comparison_and_the_best_are_bold(comparison):
    tables = read(latex(comparison, []))
    for label, better, figure in (
        ("losses", min, lambda model, place: list(comparison["matrix"][model].values())[place]["loss"]),
        ("tasks", max, lambda model, place: list(comparison["tasks"].values())[place][model]["mean"]),
    ):
        rows = figures([[plain(row[0]), *row[1:]] for row in tables[label][2][1 + (label == "tasks") :]])
        for place in range(len(tables[label][1]) - 1):
            column = {model: found[place] for model, found in rows.items() if found[place]}
            assert all(float(found["figure"]) == round(figure(model, place), 3) for model, found in column.items())
            top = better(figure(model, place) for model in column)
            assert [model for model, found in column.items() if found["bold"]] == [
                model for model in column if round(figure(model, place), 3) == round(top, 3)
            ]
    low, high = comparison["matrix"]["biomed"]["finance"]["vs_base"]["ci95"]
    of = figures(tables["losses-vs-base"][2][1:])["biomed"][1]
    assert (of["low"], of["high"]) == (f"{low:+.3f}", f"{high:+.3f}") and not of["bold"]


def test_only_fine_tuned_models_spread_over_seeds(comparison):
    rows = figures([[plain(row[0]), *row[1:]] for row in read(latex(comparison, []))["tasks"][2][2:]])
    for name, cells in rows.items():
        for cell, of in zip(cells, comparison["tasks"].values()):
            assert (cell is None) == (name not in of)
            assert cell is None or (r"\pm" in cell[0]) == (name in ("base", "biomed", "finance", "biomed_finance"))


def test_a_mark_stands_where_a_difference_is_significant_and_the_caption_explains_it(comparison):
    tables = read(latex(comparison, []))
    daggers = {
        (name, place)
        for place, of in enumerate(comparison["tasks"].values())
        for name, cell in of.items()
        if cell.get("vs_base", {"p_adjusted": 1})["p_adjusted"] < 0.05
    }
    assert daggers
    for label in ("tasks", "tasks-vs-base"):
        rows = figures([[plain(row[0]), *row[1:]] for row in tables[label][2][2:]])
        assert daggers == {
            (name, place) for name, of in rows.items() for place, cell in enumerate(of) if cell and cell["mark"]
        }
        assert "$^{\\dagger}$" in tables[label][0] and "Holm" in tables[label][0] and "$p < 0.05$" in tables[label][0]
    comparison = json.loads(json.dumps(comparison))
    comparison["matrix"]["finance"]["general"]["vs_base"]["ci95"] = [-0.1, 0.1]
    marked = figures(read(latex(comparison, []))["losses"][2][1:])
    assert not any(cell["mark"] for cell in [*marked["base"], marked["finance"][2]]) and marked["finance"][1]["mark"]
    assert "$^{*}$" in tables["losses"][0] and "excludes 0" in tables["losses"][0]


def test_of_a_single_group_there_is_neither_an_interval_nor_a_mark(comparison):
    def without(of):
        if isinstance(of, dict):
            return {key: None if key in ("ci95", "loss_ci95", "p_adjusted") else without(of[key]) for key in of}
        return of

    for label, (_, _, rows) in read(latex(without(comparison), [])).items():
        for row in figures(rows[1 + label.startswith("tasks") :]).values():
            assert not any(cell and (cell["mark"] or cell["low"]) for cell in row)
