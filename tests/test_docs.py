"""The tables of README and docs hold the committed figures, the picture of the pipeline its stages, and the page of what
callers may rely on the commands, keys and paths that there are."""

import argparse
import csv
import json
import re
import shlex
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from dvc.repo import Repo

from dapt.cli import parser
from dapt.reporting.tables import table
from repositories import ROOT, committed_params, committed_text, run

PARAMS = committed_params()
COMPARISON = json.loads(committed_text("metrics/comparison.json"))
TASKS = COMPARISON["tasks"]


def figure(cell: dict) -> str:
    return f"{cell['mean']:.3f} ± {cell['sd']:.3f}"


def matrix() -> list[str]:
    return table(COMPARISON).splitlines()[2:]


def tasks_in_short() -> list[str]:
    """A row a model, a column a task; below them the best that costs nothing."""
    rows = [[name, *(figure(models[name]) for models in TASKS.values())] for name in PARAMS.finetuned]
    best = [
        max((cell["mean"], name) for name, cell in models.items() if name not in PARAMS.finetuned)
        for models in TASKS.values()
    ]
    rows.append(["counting words", *(f"{mean:.3f} ({name})" for mean, name in best)])
    return [f"| {' | '.join(row)} |" for row in rows]


def tasks_in_full() -> list[str]:
    """A row a figure of a task, a column a model."""
    rows = []
    for task, models in TASKS.items():
        of = {name: {cell["metric"]: cell} | cell["others"] for name, cell in models.items()}
        free = [name for name in models if name not in (*PARAMS.finetuned, "majority")]
        for metric in of["base"]:
            rows.append(
                [
                    task,
                    metric,
                    *(figure(of[name][metric]) for name in PARAMS.finetuned),
                    f"{of['majority'][metric]['mean']:.3f}",
                    ", ".join(f"{name} {of[name][metric]['mean']:.3f}" for name in free),
                ]
            )
    return [f"| {' | '.join(row)} |" for row in rows]


def gains() -> list[str]:
    return [
        f"| {task} | {name} | {cell['diff']:+.3f} [{cell['ci95'][0]:+.3f}, {cell['ci95'][1]:+.3f}] | {cell['p_adjusted']:.3f} |"
        for task, models in TASKS.items()
        for name in PARAMS.finetuned
        if (cell := models[name].get("vs_base"))
    ]


@pytest.mark.parametrize(
    "name, lines",
    [("README.md", matrix), ("README.md", tasks_in_short), ("docs/tasks.md", tasks_in_full), ("docs/tasks.md", gains)],
)
def test_a_table_holds_the_figures_of_the_committed_run(name, lines):
    found, expected = (ROOT / name).read_text().splitlines(), lines()
    assert len(expected) > 3
    place = found.index(expected[0])
    assert found[place : place + len(expected)] == expected and not found[place + len(expected)].startswith("|")


def test_the_chinese_readme_has_the_same_figures_and_commands():
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    for lines in (matrix(), tasks_in_short()):
        assert "\n".join(line for line in lines[2:] if "counting" not in line) in chinese
    commands = set(re.findall(r"^ {4}(?:\$ )?((?:make|dapt|dvc|DAPT_LAUNCHER=\w+) [^#\n]*)", chinese, flags=re.M))
    assert len(commands) > 5 and {command for command in commands if command.strip() not in english} == set()


def test_the_choice_that_the_readme_quotes_is_the_committed_one():
    choice = COMPARISON["choice"]
    quoted = " ".join((ROOT / "README.md").read_text().split())
    assert f"Use {choice['model']} ({choice['rule']}): {choice['why']}." in quoted


def drawn(text: str) -> list[tuple[str, str]]:
    """The arrows of a Mermaid flowchart; `a & b --> c & d` are four."""
    arrows = re.findall(r"^ +([\w& ]+) --> ([\w& ]+)$", text, flags=re.M)
    return [pair for left, right in arrows for pair in product(left.split(" & "), right.split(" & "))]


def test_the_picture_of_the_pipeline_has_the_arrows_that_dvc_finds():
    """A stage that exists several times is one node, under the name before the @."""
    picture = re.search(r"```mermaid\n(.*?)```", (ROOT / "docs/pipeline.md").read_text(), flags=re.S)
    arrows = drawn(picture[1])
    with Repo(str(ROOT)) as repo:
        graph = repo.index.graph
        names = {stage: stage.name.split("@")[0] for stage in graph}
        expected = {(names[needed], names[stage]) for stage, needed in graph.edges if names[stage] != names[needed]}
        repeated = {names[stage] for stage in graph if "@" in stage.name}
    assert set(arrows) == expected and len(arrows) == len(expected)
    assert set(re.findall(r'^ +(\w+)\["\1@[\w-]+"\]$', picture[1], flags=re.M)) == repeated


DVC_COMMANDS = {
    "artifacts",
    "cache",
    "checkout",
    "commit",
    "config",
    "exp",
    "gc",
    "get",
    "metrics",
    "plots",
    "pull",
    "push",
    "remote",
    "repro",
    "status",
}
OTHERS = set("cat cd curl echo export git gto head ls mkdir pip python sbatch sed tail xdg-open".split())
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as the forges make them: lower case, without punctuation, spaces as hyphens."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_the_index_names_every_page_and_the_readme_can_be_read_at_one_sitting():
    index = (ROOT / "docs/index.md").read_text()
    assert {page.name for page in PAGES[3:]} - set(re.findall(r"\]\(([\w-]+\.md)[#)]", index)) == {"index.md"}
    assert len(PAGES[0].read_text().splitlines()) <= 200


def cells(heading: str, page: str = "docs/stable.md") -> list[list[str]]:
    """The rows of the table that begins with this heading, without the heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = text[text.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def commands(of: argparse.ArgumentParser) -> Iterator[tuple[str, int, set[str]]]:
    """Each command below a parser, how many arguments it takes, and its long options."""
    below = [action for action in of._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for command in action.choices.values():
            yield from commands(command)
    if not below:
        options = {option for action in of._actions for option in action.option_strings if option.startswith("--")}
        yield of.prog, sum(not action.option_strings for action in of._actions), options - {"--help"}


def test_the_promised_commands_are_those_of_the_parser():
    promised = {
        (quoted(row[0])[0], len(quoted(row[1])), frozenset(quoted(row[2])))
        for row in cells("command | arguments | options")
    }
    assert promised == {(name, count, frozenset(options)) for name, count, options in commands(parser())}


def tracked(pattern: str) -> list[str]:
    """Tracked files, by a pattern whose * stands for a name."""
    return run(ROOT, "git", "ls-files", "--", f":(glob){pattern}").split()


@pytest.mark.parametrize("row", cells("file | keys"), ids=lambda row: row[0])
def test_the_promised_keys_are_in_the_committed_metrics(row):
    name, _, part = row[0].partition(", ")
    files = [path for path in tracked(name) if part == "" or path.endswith(".json")]
    assert files
    for file in files:
        text = committed_text(file)
        found = next(csv.reader(text.splitlines())) if file.endswith(".csv") else json.loads(text)
        each = [cell for key, cell in found.items() if key != "made_from"] if part else [found]
        assert [key for entry in each for key in quoted(row[1]) if key not in entry] == [], file


def test_the_promised_paths_and_variables_are_those_of_the_code():
    app = (ROOT / "src/dapt/serving/app.py").read_text(encoding="utf-8")
    served = {f"{method.upper()} {path}" for method, path in re.findall(r'@app\.(get|post)\("([^"]+)"', app)}
    assert {path for row in cells("path | answer") for path in quoted(row[0])} == served
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/dapt").rglob("*.py"))
    assert {quoted(row[0])[0] for row in cells("variable | meaning")} == set(re.findall(r"DAPT_[A-Z_]+", code))


def typed() -> list[tuple[str, list[str]]]:
    """(page, words) of each command in the blocks of README and docs, without its environment and comment."""
    found = []
    for page in PAGES:
        text = re.sub(r"\\\n +", "", page.read_text(encoding="utf-8"))
        lines = re.findall(r"^ {4}\$ (.+)$", text, flags=re.M)
        lines += re.findall(r"^ {4}((?:[A-Z_]+=\S+ )*(?:dapt|dvc|make) (?!\w+:|\w+ \w+:).+)$", text, flags=re.M)
        for line in lines:
            for command in re.split(r" && | \| ", line.split("  #")[0]):
                words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
                found.append((page.name, words))
    return found


@pytest.mark.parametrize(
    "page, words", typed(), ids=lambda value: value if isinstance(value, str) else " ".join(value)[:60]
)
def test_a_command_of_the_docs_can_be_typed(page, words):
    """dapt's parser takes it, make has the target, and DVC the subcommand. That they do what the page says is shown by the
    tests of each: those of README and tutorial run the pages themselves."""
    program, *rest = words
    if program == "dapt":
        parser().parse_args([word for word in rest if word != "…"])
    elif program == "make":
        targets = re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
        assert [word for word in rest if "=" not in word and word != "-s"][0] in targets
    elif program.startswith("slurm/"):
        assert (ROOT / program).is_file()
    elif program == "dvc":
        assert rest[0] in {*DVC_COMMANDS, "--wait-for-lock"}
    else:
        assert program in OTHERS, f"{page}: {words}"
