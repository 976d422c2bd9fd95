"""The whole pipeline in temporary repositories: twice from nothing to the same bits, and the commands people use."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import grimp
import pytest
from ruamel.yaml import YAML

from repositories import ROOT, add_task, committed_text, copy_of_tree, replaced, run
from toy_pipeline import texts as toy_texts

SRC = ROOT / "src"
GRAPH = grimp.build_graph("dapt")
READ = {  # files that a stage reads beside its code
    "base": SRC / "dapt/judging/probe_text",
    "report": SRC / "dapt/reporting/figures",
}
FOUND_BY_NAME = {  # what a module imports by the names in the settings, which no graph knows
    "dapt.corpus.cleaners": GRAPH.find_children("dapt.corpus.cleaners"),
    "dapt.tasks.kinds": GRAPH.find_children("dapt.tasks.kinds"),
}


def yaml(path: Path) -> dict:
    return YAML(typ="safe", pure=True).load(path.read_text())


def file_of(module: str) -> Path:
    path = SRC / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def modules_of(stage: str) -> set[str]:
    """The modules of dapt that a stage runs, but for those that only tell."""
    found, waiting = set(), {f"dapt.stages.{stage}"}
    while waiting:
        found |= waiting | set().union(*map(GRAPH.find_upstream_modules, waiting))
        waiting = set().union(*(modules for name, modules in FOUND_BY_NAME.items() if name in found)) - found
    return {name for name in found if not name.startswith("dapt.telling")}


@pytest.mark.parametrize("stage", list(yaml(ROOT / "dvc.yaml")["stages"]))
def test_a_stage_depends_on_the_rooms_or_modules_that_its_command_imports_and_on_no_others(stage):
    entry = yaml(ROOT / "dvc.yaml")["stages"][stage]
    entry = entry.get("do", entry)
    command = entry["cmd"].split()
    assert command[0] == "dapt"
    needed = {file_of(name) for name in modules_of(command[1])} | {READ[name] for name in READ if name == command[1]}
    deps = [ROOT / dep for dep in entry["deps"] if dep.startswith("src/")]
    covered = {path for path in needed if any(path == dep or dep in path.parents for dep in deps)}
    assert covered == needed, "in dvc.yaml there lacks " + ", ".join(map(str, sorted(needed - covered)))
    for dep in deps:
        assert any(path == dep or dep in path.parents for path in needed), f"{dep} is not imported"
    assert not any("telling" in dep.parts or dep == SRC / "dapt" for dep in deps)


def test_dvc_yaml_can_be_read_at_one_sitting():
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 200


def dvc_hash(path: Path) -> str:
    """md5 as DVC writes it: of a file, or of the sorted list of a folder's files."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    tracked = subprocess.run(["git", "ls-files", "-z", path], cwd=ROOT, text=True, check=True, capture_output=True)
    files = sorted(ROOT / name for name in tracked.stdout.split("\0") if name)
    listing = [{"md5": dvc_hash(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"


def test_the_committed_lock_belongs_to_the_committed_code_and_params():
    stages = yaml(ROOT / "dvc.lock")["stages"]
    assert {"summary", "report", "train@biomed", "evaluate@general"} <= set(stages)
    for name, stage in stages.items():
        for dep in stage["deps"]:
            if dep["path"].split("/")[0] in ("src", "params.yaml", "profiles", "requirements.txt"):
                assert dep["md5"] == dvc_hash(ROOT / dep["path"]), f"{name}: {dep['path']} has changed; run dvc repro"
            elif (ROOT / dep["path"]).exists() and dep["path"].startswith("metrics/"):
                assert dep["md5"] == dvc_hash(ROOT / dep["path"]), f"{name}: {dep['path']} is not what the lock says"
        for file, settings in stage.get("params", {}).items():
            for place, value in settings.items():
                at = yaml(ROOT / file)
                for part in place.split("."):
                    at = at[part]
                assert at == value, f"{name}: {place} has changed; run dvc repro"


def test_everything_that_the_readme_names_is_there(finished):
    for name in (
        "metrics/summary.json",
        "metrics/comparison.json",
        "metrics/crossdomain.csv",
        "reports/index.html",
        "reports/report.md",
        "reports/data.html",
        "reports/cards/biomed.md",
        "models/biomed/model.safetensors",
        "models/base/tokenizer.json",
    ):
        assert (finished / name).is_file(), name
    assert not run(finished, "git", "status", "--porcelain")
    assert "Data and pipelines are up to date." in run(finished, "dvc", "repro")


def test_no_tracked_file_tells_of_the_machine(finished):
    """No path of this machine, in anything that DVC or git tracks."""
    found = run(
        finished, "grep", "-rIl", str(finished.parent), "metrics", "reports", "models", "data", "dvc.lock", code=None
    )
    assert not found.strip()


def test_counts_add_up_and_held_out_sets_are_large_enough(finished):
    for path in (finished / "metrics/clean").glob("*.json"):
        report = json.loads(path.read_text())
        assert report["rows_in"] == report["kept"] + sum(report["dropped"].values()) and report["kept"]
        lines = (finished / f"data/processed/{path.stem}.jsonl").read_text().count("\n")
        assert lines == report["kept"]
    split, evaluated = committed("split"), committed("eval/base")
    for name in ("biomed", "finance", "general"):
        assert split["sets"][name]["heldout"]["groups"] >= 200
        assert evaluated[name]["masked_tokens"] >= 5000


def committed(name: str) -> dict:
    """A file of metrics/ as it is committed, whatever has been run in the workspace since."""
    return json.loads(committed_text(f"metrics/{name}.json"))


def texts(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_no_held_out_or_test_text_is_in_a_training_set(tmp_path):
    """Looked for from outside, in the sample profile's corpora: equal texts, shared groups and runs of 13 words, without
    the code that drops them."""
    sample = copy_of_tree(tmp_path / "sample")
    run(sample, "dvc", "repro", "split")
    split = sample / "data/split"

    def normal(text):
        return re.findall(r"\w+", text.lower())

    def grams(text):
        words = normal(text)
        return {" ".join(words[i : i + 13]) for i in range(len(words) - 12)}

    guarded = [row for name in ("biomed", "finance", "general") for row in texts(split / name / "heldout.jsonl")]
    held_groups = {row["group"] for row in guarded}
    guarded += [row for path in split.glob("tasks/*/test.jsonl") for row in texts(path)]
    same = {" ".join(normal(row["text"])) for row in guarded}
    runs = set().union(*(grams(row["text"]) for row in guarded))
    assert len(guarded) > 3000 and len(runs) > 10000
    for domain in ("biomed", "finance", "biomed_finance", "general"):
        for side in ("train", "valid"):
            rows = texts(split / domain / f"{side}.jsonl")
            assert rows and not held_groups & {row["group"] for row in rows}
            for row in rows:
                assert " ".join(normal(row["text"])) not in same and runs.isdisjoint(grams(row["text"])), row


def test_adapted_models_are_better_on_their_own_text_in_the_committed_figures():
    """The project's own claim: significantly, against the repaired base, the control and each other."""
    matrix = committed("comparison")["matrix"]
    for one, other in (("biomed", "finance"), ("finance", "biomed")):
        cell = matrix[one][one]
        assert cell["vs_base"]["ci95"][1] < 0 and cell["vs_control"]["ci95"][1] < 0 and cell["vs"][other]["ci95"][1] < 0


def test_the_metrics_table_is_clean(finished):
    lines = (
        run(
            finished,
            "dvc",
            "metrics",
            "show",
            "--md",
            *sorted(str(path.relative_to(finished)) for path in (finished / "metrics/eval").glob("*.json")),
        )
        .strip()
        .splitlines()
    )
    header = [cell.strip() for cell in lines[0].split("|")[1:-1]]
    assert header == [
        "Path",
        *(
            f"{held_out}.{name}"
            for held_out in ("biomed", "finance", "general")
            for name in ("accuracy", "accuracy_top5", "loss", "masked_tokens", "perplexity", "unknown")
        ),
    ]
    assert len(lines) == 2 + 4


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


def test_another_domain_reruns_check_and_summary_alone_and_is_compared_in_tables_that_can_be_read(clone):
    assert stages_run(run(clone, "dvc", "exp", "run", "-S", "domain=finance")) == {"check", "summary"}
    diff = json.loads(run(clone, "dvc", "metrics", "diff", "--json"))["metrics/summary.json"]
    assert diff["domain"] == {"old": "biomed", "new": "finance"}
    assert {"loss", "perplexity", "base_loss", "gain"} <= set(diff)
    shown = run(clone, "dvc", "exp", "show", "--csv")
    assert "finance" in shown and "biomed" in shown
    lines = run(clone, "dvc", "metrics", "diff").splitlines()
    summary = json.loads((clone / "metrics/summary.json").read_text())
    assert {line.split()[0] for line in lines[1:]} == {"metrics/summary.json"} and len(lines) <= 1 + len(summary)
    assert max(map(len, lines)) <= 80
    head = run(clone, "dvc", "exp", "show", "--csv", "--only-changed").splitlines()[0].split(",")
    assert {"loss", "perplexity"} <= set(head) and len(head) <= 20, head
    targets = run(clone, "dvc", "metrics", "diff", "--targets", "metrics/summary.json", "metrics/eval/biomed.json")
    assert targets.splitlines() == lines


@pytest.mark.slow
@pytest.mark.promise
def test_twice_from_nothing_gives_the_same_lock_and_a_summary_trains_its_own_domain_alone(finished, tmp_path):
    second = tmp_path / "second"
    start = run(finished, "git", "rev-list", "--max-parents=0", "HEAD").strip()
    run(finished.parent, "git", "clone", "-q", str(finished), str(second))
    run(second, "git", "checkout", "-q", "-B", "main", start)
    ran = stages_run(run(second, "dvc", "exp", "run", "-S", "domain=finance", "summary"))
    assert {name for name in ran if name.startswith("train@")} == {"train@finance"}
    assert {name for name in ran if name.startswith("evaluate@")} == {"evaluate@base", "evaluate@finance"}
    run(second, "git", "checkout", "-q", "params.yaml")
    run(second, "dvc", "repro")
    assert yaml(second / "dvc.lock") == yaml(finished / "dvc.lock")  # the order of the stages is that of their runs
    for path in sorted((finished / "metrics").rglob("*.*")):
        assert (second / path.relative_to(finished)).read_bytes() == path.read_bytes(), path


def test_models_are_shared_through_a_remote_that_notices_damage(finished, tmp_path):
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    run(finished, "dvc", "remote", "add", "--local", "-d", "-f", "shared", str(remote))
    run(finished, "dvc", "remote", "modify", "--local", "shared", "verify", "true")
    run(finished, "dvc", "push")
    run(finished.parent, "git", "clone", "-q", str(finished), str(clone))
    run(clone, "dvc", "remote", "add", "--local", "-d", "shared", str(remote))
    run(clone, "dvc", "remote", "modify", "--local", "shared", "verify", "true")
    run(clone, "dvc", "pull", "models/finance")
    weights = "models/finance/model.safetensors"
    assert (clone / weights).read_bytes() == (finished / weights).read_bytes()
    assert not (clone / "models/biomed").exists()
    run(clone, "dvc", "pull")
    assert "Data and pipelines are up to date." in run(clone, "dvc", "repro")

    digest = hashlib.md5((finished / "models/biomed/model.safetensors").read_bytes()).hexdigest()
    damaged = next(remote.rglob(f"{digest[:2]}/{digest[2:]}"))
    damaged.chmod(0o644)
    data = bytearray(damaged.read_bytes())
    data[1000] ^= 1
    damaged.write_bytes(data)
    third = tmp_path / "third"
    run(finished.parent, "git", "clone", "-q", str(finished), str(third))
    run(third, "dvc", "remote", "add", "--local", "-d", "shared", str(remote))
    run(third, "dvc", "remote", "modify", "--local", "shared", "verify", "true")
    assert "models/biomed" in run(third, "dvc", "pull", "models/biomed", code=1)
    assert not (third / "models/biomed/model.safetensors").exists()


def files_below(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_one_line_keeps_the_text_of_all_corpora_from_the_remote(clone, tmp_path):
    """Looked for in the remote by the bytes of each file, and by each text."""
    remote, teammate, lock = tmp_path / "remote", tmp_path / "teammate", (clone / "dvc.lock").read_bytes()
    pipeline = (clone / "dvc.yaml").read_text()
    (clone / "dvc.yaml").write_text(replaced(pipeline, "&corpus_text {push: true}", "&corpus_text {push: false}"))
    run(clone, "dvc", "remote", "add", "-d", "shared", str(remote))
    assert "Data and pipelines are up to date." in run(clone, "dvc", "repro")
    assert (clone / "dvc.lock").read_bytes() == lock
    run(clone, "git", "commit", "-qam", "text stays here")
    run(clone, "dvc", "push", "--run-cache")

    uploaded = {hashlib.md5(path.read_bytes()).hexdigest(): path for path in files_below(remote)}

    def is_there(path: Path) -> bool:
        return hashlib.md5(path.read_bytes()).hexdigest() in uploaded

    data = clone / "data"
    kept = files_below(*(data / name for name in ("raw", "processed", "split", "tokens")))
    kept = [path for path in kept if data / "raw/model" not in path.parents]
    assert len(kept) > 30 and not any(map(is_there, kept))
    assert all(map(is_there, files_below(clone / "models", clone / "reports", data / "eval", data / "raw/model")))
    shown = "biomed_mlm"  # the toy's one source whose rows the data card may show
    rows = [row for path in (data / "processed").glob("*.jsonl") if path.stem != shown for row in texts(path)]
    everything = b"\n".join(path.read_bytes() for path in uploaded.values())
    assert len(rows) > 800 and not any(row["text"].encode() in everything for row in rows)

    run(tmp_path, "git", "clone", "-q", str(clone), str(teammate))
    run(teammate, "dvc", "pull", "--allow-missing")
    for path in files_below(clone / "models", clone / "reports"):
        assert (teammate / path.relative_to(clone)).read_bytes() == path.read_bytes()
    ran = {name.split("@")[0] for name in stages_run(run(teammate, "dvc", "repro"))}
    assert ran == {"fetch", "clean", "split", "tokenize"} and (teammate / "dvc.lock").read_bytes() == lock


def test_a_tagged_model_is_got_by_its_name(finished, tmp_path):
    clone = tmp_path / "clone"
    run(finished.parent, "git", "clone", "-q", str(finished), str(clone))
    run(clone, "dvc", "cache", "dir", "--local", str(finished / ".dvc/cache"))
    run(clone, "dvc", "remote", "add", "-d", "shared", str(tmp_path / "remote"))
    run(clone, "git", "commit", "-qam", "a remote")
    run(clone, "dvc", "push", "models/finance")
    run(clone, "git", "tag", "-a", "finance@v0.1.0", "-m", "the first one")
    run(tmp_path, "dvc", "artifacts", "get", str(clone), "finance", "-o", "got")
    weights = "model.safetensors"
    assert (tmp_path / "got" / weights).read_bytes() == (finished / "models/finance" / weights).read_bytes()


@pytest.mark.slow
def test_a_sweep_runs_from_the_queue(clone):
    run(clone, "dvc", "exp", "run", "--queue", "-S", "profiles/sample.yaml:compare.rule=mean,target", "compare")
    run(clone, "dvc", "exp", "run", "--run-all")
    shown = run(clone, "dvc", "exp", "show", "--json")
    rules = set(re.findall(r'"rule": "(\w+)"', shown))
    assert rules == {"mean", "target"}


def test_a_domain_of_ones_own_needs_a_folder_and_a_command(clone):
    (clone / "data/local/law").mkdir()
    sections = [f"Section {number}. {text}\n" for number, text in enumerate(toy_texts("general", 300, seed=7))]
    (clone / "data/local/law/first.txt").write_text("".join(sections[:-90]))
    (clone / "data/local/law/second.txt").write_text("".join(sections[-90:]))
    run(clone, "dapt", "add", "domain", "law", "data/local/law", "--profile", "sample")
    ran = stages_run(run(clone, "dvc", "repro", "evaluate@law"))
    assert {"fetch@law", "clean@law", "split", "tokenize@law", "train@law", "evaluate@law"} <= ran
    assert not {
        name for name in ran if name.startswith(("fetch@biomed", "clean@biomed", "train@")) and name != "train@law"
    }
    assert json.loads((clone / "metrics/eval/law.json").read_text())["law"]["loss"] > 0
    (clone / "data/local/law/second.txt").write_text("".join(sections[-40:]))
    ran = stages_run(run(clone, "dvc", "repro", "evaluate@law"))
    assert {"check", "fetch@law", "train@law"} <= ran and not ran & {"fetch@biomed_mlm", "train@biomed"}
    shutil.rmtree(clone / "data/local/law")  # as at a teammate's, who pulls what was made of it
    assert stages_run(run(clone, "dvc", "repro", "evaluate@law")) == {"check"}


def test_a_task_of_ones_own_is_two_entries_of_settings(tmp_path):
    copy = copy_of_tree(tmp_path / "copy")
    add_task(copy, "sectors", "tfidf_plain", "corpus: finance_mlm2, fields: [label], kind: classification, length: 32")
    said = run(copy, "dvc", "repro", "--dry", "--force", "--single-item", "finetune@sectors-base", "baseline@sectors")
    assert "> dapt finetune sectors base" in said and "> dapt baseline sectors" in said
    assert "data/eval/tasks/sectors/tfidf_plain.jsonl" in run(copy, "dvc", "stage", "list")


@pytest.mark.slow
def test_the_pipeline_runs_without_a_corpus_and_says_so(clone):
    ran = stages_run(run(clone, "dvc", "exp", "run", "-S", "corpora.biomed_mlm.enabled=false"))
    assert {"fetch@biomed_mlm", "clean@biomed_mlm", "validate", "split", "train@biomed", "report", "summary"} <= ran
    assert not {"clean@finance_mlm1", "train@finance", "train@general", "base"} & ran
    assert (clone / "data/processed/biomed_mlm.jsonl").read_bytes() == b""
    assert {row["corpus"] for row in texts(clone / "data/split/biomed/train.jsonl")} == {"biomed_mlm_2"}
    assert "| biomed_mlm | not enabled | 0 | 0 |" in (clone / "reports/report.md").read_text()
    assert "Not enabled, and empty here: biomed_mlm." in (clone / "reports/data.md").read_text()


@pytest.mark.parametrize(
    "override, message",
    [
        ("domain=law", "params.yaml: domain: unknown name 'law'"),
        ("profile=ful", "params.yaml: profile: unknown name 'ful'"),
        ("profiles/sample.yaml:train.steps=many", "profiles/sample.yaml: train.steps: .*'many'"),
        (
            "profiles/sample.yaml:+train.stpes=3",
            "profiles/sample.yaml: train.stpes: unknown setting; did you mean steps",
        ),
    ],
)
def test_wrong_params_are_refused_before_any_stage_runs(finished, tmp_path, override, message):
    clone = tmp_path / "clone"
    run(finished.parent, "git", "clone", "-q", str(finished), str(clone))
    output = run(clone, "dvc", "exp", "run", "-S", override, code=None)
    assert re.search(f"dapt check: {message}", output), output
    assert stages_run(output) == {"check"}
    assert "Traceback" not in output
