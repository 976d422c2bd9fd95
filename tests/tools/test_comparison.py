"""The tables on the screen and for a paper, in a real git repository that holds the committed metrics."""

import hashlib

from dapt.core.files import read_json, write_lines
from dapt.launch import pipeline
from dapt.reporting.latex import latex
from dapt.reporting.provenance import provenance
from dapt.tools import comparison
from repositories import replaced, run


def untimed(said: str) -> int:
    """Trainings without a time."""
    return said.partition("The trainings, ")[2].count(" | – |\n")


def test_the_screen_names_commit_and_lock_and_the_time_of_trainings_made_here(committed):
    run(committed, "git", "tag", "-a", "v1", "-m", "a name that does not stand for the commit")
    commit = run(committed, "git", "rev-parse", "HEAD").strip()
    lock = hashlib.sha256((committed / "dvc.lock").read_bytes()).hexdigest()
    said = run(committed, "dapt", "compare", "--print")
    assert said.endswith(f"\ncommit {commit}, dvc.lock sha256 {lock}\n")
    assert (
        "| biomed | original project | 13,656 | – | 2000 | 7.0465 | 6.7736 | 419 MB | 3 h 55 min |" in said
        and untimed(said) == 4
    )
    (committed / "logs").mkdir()
    made = read_json(committed / "metrics/train/finance.json")["model_sha256"]
    events = [{"time": 100, "event": "started"}, {"time": 175, "event": "done", "model_sha256": made}]
    write_lines(committed / "logs/train-finance.jsonl", (event | {"name": "finance"} for event in events))
    said = run(committed, "dapt", "compare", "--print")
    assert said.count(" | 1 min 15 s |\n") == 1 and untimed(said) == 3
    (committed / "params.yaml").write_text("changed")
    assert provenance() == f"commit {commit}-dirty, dvc.lock sha256 {lock}"


def test_without_git_or_lock_it_says_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert provenance() == "commit none, dvc.lock sha256 none"


def test_latex_is_that_of_the_comparison_and_names_the_commit(committed):
    said = run(committed, "dapt", "compare", "--latex")
    assert said == latex(read_json(committed / "metrics/comparison.json"), [provenance()]) + "\n"


def test_the_first_line_on_the_screen_is_about_the_chosen_domain(committed):
    first, empty, then, *_ = run(committed, "dapt", "compare", "--print").splitlines()
    assert first.startswith("For biomed, use biomed (") and not empty and then.startswith("Loss ")
    params = committed / "params.yaml"
    params.write_text(replaced(params.read_text(), "domain: biomed", "domain: finance"))
    assert run(committed, "dapt", "compare", "--print").startswith("For finance, use finance (lowest loss on held-out")


def test_figures_that_are_out_of_date_are_called_so_before_the_tables(committed, monkeypatch, capsys):
    monkeypatch.setattr(pipeline, "stale", {"compare": ["train@biomed", "evaluate@biomed", "compare"]}.__getitem__)
    comparison.run(as_latex=False)
    line = "Out of date: train@biomed, evaluate@biomed and 1 more; dvc repro compare brings them up to date."
    assert capsys.readouterr().out.splitlines()[2] == line
    comparison.run(as_latex=True)
    assert capsys.readouterr().out.splitlines()[1] == f"% {line}"
