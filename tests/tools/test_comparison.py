"""The tables on the screen and for a paper, in a real git repository that holds the committed metrics."""

import hashlib

from dapt.core.files import read_json, write_lines
from dapt.reporting.latex import tex
from dapt.reporting.provenance import provenance
from dapt.reporting.tables import task_table
from repositories import committed_params, run

PARAMS = committed_params()


def untimed(said: str) -> int:
    """Trainings without a time."""
    return said.partition("The trainings, ")[2].count(" | – |\n")


def test_the_screen_names_commit_and_lock_and_the_time_of_trainings_made_here(committed):
    run(committed, "git", "tag", "-a", "v1", "-m", "a name that does not stand for the commit")
    commit = run(committed, "git", "rev-parse", "HEAD").strip()
    lock = hashlib.sha256((committed / "dvc.lock").read_bytes()).hexdigest()
    said = run(committed, "dapt", "compare", "--print")
    assert said.endswith(f"\ncommit {commit}, dvc.lock sha256 {lock}\n")
    assert "| biomed | 13,656 | 2000 | 7.0465 | 6.7736 | 419 MB | 3 h 55 min |" in said and untimed(said) == 4
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


def test_latex_has_a_cell_for_a_cell_and_names_the_commit(committed):
    tasks = read_json(committed / "metrics/comparison.json")["tasks"]
    lines = tex(task_table(tasks)).splitlines()
    body = [line for line in lines if line.endswith(r"\\")]
    assert lines[0] == rf"\begin{{tabular}}{{l{'r' * len(PARAMS.tasks)}}}" and lines[-1] == r"\end{tabular}"
    models = {name for of in tasks.values() for name in of}
    assert len(body) == 1 + len(models) and {line.count("&") for line in body} == {len(PARAMS.tasks)}
    assert "_" not in " ".join(body).replace(r"\_", "") and r"biomed\_finance" in " ".join(body)
    said = run(committed, "dapt", "compare", "--latex").splitlines()
    place = said.index("% Fine-tuned, mean and standard deviation over seeds") + 1
    assert said[0] == f"% {provenance()}" and said[place : place + len(lines)] == lines
    assert sum(line.startswith(r"\begin{tabular}") for line in said) == 5
