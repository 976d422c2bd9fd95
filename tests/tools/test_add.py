"""`dapt add` and `dapt remove` from the command line, in a folder with the committed settings. (From a hub: sources/test_hub.py.)"""

import shutil
import sys
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from dapt.cli import main
from dapt.core import config
from dapt.stages.check import check
from repositories import committed_files, committed_text

FILES = ("params.yaml", "profiles/sample.yaml", "profiles/full.yaml", "dvc.yaml")


@pytest.fixture()
def folder(tmp_path) -> Path:
    committed_files(tmp_path, "params.yaml", "profiles", "dvc.yaml")
    law = tmp_path / "data/local/law"
    law.mkdir(parents=True)
    (tmp_path / "data/raw/law").mkdir(parents=True)
    (law / "first.txt").write_text("The first section says what the law is.\nThe second says what it is not.\n")
    (tmp_path / "data/local/cases.csv").write_text(
        "body,case\nThe court held that it was so and no other.,a\nIt was.,a\n"
    )
    return tmp_path


@pytest.fixture()
def dapt(monkeypatch, capsys):
    """`dapt …` in a folder, in this process; what it said."""

    def call(folder: Path, *words: str, code: int = 0) -> str:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["dapt", *words])
        returned, said = main(), "".join(capsys.readouterr())
        assert returned == code, said
        return said

    return call


def texts(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in FILES}


def changed_lines(folder: Path, name: str) -> list[str]:
    """Those that are new; all others are there still, in their order."""
    before, after = committed_text(name).splitlines(), (folder / name).read_text().splitlines()
    new, place = [], 0
    for line in after:
        if place < len(before) and line == before[place]:
            place += 1
        else:
            new.append(line)
    assert place == len(before), before[place]
    return new


def test_a_domain_is_added_by_a_few_lines_and_removed_without_a_trace(dapt, folder):
    said = dapt(folder, "add", "domain", "law", "data/local/law/first.txt", "--licence", "public")
    assert "data/local/law/first.txt: 2 of 2 documents are kept\n" in said and "next: dvc repro evaluate@law" in said
    assert "+  law: {enabled: true, labelled: false}" in said and "--- dvc.yaml" in said
    params = config.load(folder)
    assert params.domains["law"] == ["law"] and "law" in params.heldout and "law" in params.finetuned
    assert params.models == ["base", *params.domains] and params.own_sets("law") == ["law"]
    for profile in params.profiles.values():
        (source,) = profile.corpora["law"]
        assert source.local.folder == "data/local/law" and source.files == ["first.txt"] and source.licence == "public"
    artifacts = YAML(typ="safe").load((folder / "dvc.yaml").read_text())["artifacts"]
    assert artifacts["law"]["path"] == "models/law" and list(artifacts)[-1] == "law"
    assert {name: len(changed_lines(folder, name)) for name in FILES} == {
        "params.yaml": 6,
        "profiles/sample.yaml": 8,
        "profiles/full.yaml": 8,
        "dvc.yaml": 4,
    }
    dapt(folder, "remove", "domain", "law")
    assert texts(folder) == {name: committed_text(name) for name in FILES}


def test_from_a_folder_inside_of_the_repository_and_for_one_profile(dapt, folder):
    said = dapt(folder / "data", "add", "domain", "law", "local/cases.csv", "--column", "body", "--group", "case",
                "--profile", "sample")  # fmt: skip
    assert "1 of 2 documents are kept (dropped: 1 too short)" in said
    params = config.load(folder)
    assert params.profiles["sample"].corpora["law"][0].options == {"column": "body", "group": "case"}
    assert "law" not in params.profiles["full"].corpora
    assert (folder / "profiles/full.yaml").read_text() == committed_text("profiles/full.yaml")


def test_a_dry_run_writes_nothing(dapt, folder):
    before = texts(folder)
    said = dapt(folder, "add", "domain", "law", "data/local/law", "--dry-run")
    assert "+    desc: adapted to law" in said and said.endswith("nothing was written (--dry-run)\n")
    assert texts(folder) == before


@pytest.mark.parametrize(
    "words, message",
    [
        (("biomed", "data/local/law"), "there is already a domain biomed; choose another name"),
        (("hpo law", "data/local/law"), "'hpo law' is not a valid name"),
        (("law", "data/local/laws"), "data/local/laws does not exist; put the file or folder into data/local"),
        (("law", "/etc/hostname"), "/etc/hostname is not in data/local"),
        (("law", "data/local/cases.csv"), "cases.csv has no column text; its columns are: body, case"),
        (("law", "data/local/law", "--option", "hole=true"), "the cleaner text has no option 'hole'"),
        (
            ("law", "data/local/law", "--option", "least=100"),
            "0 of 2 documents are kept (dropped: 2 too short); supported formats are .txt",
        ),
        (("tasks", "data/local/law"), "'tasks' cannot name a corpus or a domain"),
        (("v.2", "data/local/law"), "'v.2' cannot name a corpus or a domain: dots"),
        (("law", "data/local"), "data/local is not in data/local"),
        (("law", "data/raw/law"), "data/raw/law is not in data/local; copy or link it there"),
        (("law", "data/local/law", "--profile", "full"), "sample is the active profile and must be included"),
        (("law", "data/local/law", "--profile", "smple"), "there is no profile 'smple'; did you mean sample?"),
    ],
)
def test_what_cannot_be_added_is_refused_in_one_line_and_nothing_is_written(dapt, folder, words, message):
    before = texts(folder)
    (line,) = dapt(folder, "add", "domain", *words, code=2).splitlines()[-1:]
    assert message in line and line.startswith("dapt add: ")
    assert texts(folder) == before


@pytest.mark.parametrize(
    "name, message",
    [
        ("finanse", "there is no domain 'finanse'; did you mean finance?"),
        ("general", "general is the control"),
        ("biomed", "biomed is used in params.yaml: domain, profiles/full.yaml: compare.target"),
    ],
)
def test_what_cannot_be_removed_is_refused(dapt, folder, name, message):
    before = texts(folder)
    assert message in dapt(folder, "remove", "domain", name, code=2)
    assert texts(folder) == before


def test_a_removed_domain_leaves_corpora_that_others_read(dapt, folder):
    dapt(folder, "remove", "domain", "biomed_finance")
    params = config.load(folder)
    assert "biomed_finance" not in params.models and {"biomed_mlm", "finance_mlm2"} <= set(params.corpora)


def test_comments_stay_above_what_they_speak_of(dapt, folder):
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace("- finance\n- general\n", "- finance\n# the control\n- general\n"))
    dapt(folder, "add", "domain", "law", "data/local/law/first.txt")
    assert "- finance\n# the control\n- general\n- law\nmodels:" in path.read_text()
    assert "  law: {enabled: true, labelled: false}\n\n# Downstream tasks." in path.read_text()


@pytest.mark.parametrize(
    "artifacts, after",
    [
        (
            "artifacts:\n  a:\n    path: x\n    labels:\n    - mlm\nvars: []\n",
            "    - mlm\n  law:\n    path: models/law\n",
        ),
        ("artifacts: {a: {path: x}}\n", "artifacts: {a: {path: x}, law: {path: models/law, type: model"),
        ("artifacts: {}\n", "artifacts: {law: {path: models/law, type: model"),
        ("artifacts:\n    a:\n        path: x", "        path: x\n    law:\n      path: models/law\n"),
    ],
)
def test_artifacts_in_other_forms_are_added_to(dapt, folder, artifacts, after):
    (folder / "dvc.yaml").write_text(f"stages: {{}}\n{artifacts}")
    dapt(folder, "add", "domain", "law", "data/local/law/first.txt")
    text = (folder / "dvc.yaml").read_text()
    assert after in text and YAML(typ="safe").load(text)["artifacts"]["law"]["path"] == "models/law"


def test_an_artifact_of_this_name_is_not_written_twice(dapt, folder):
    (folder / "dvc.yaml").write_text("stages: {}\nartifacts:\n  law:\n    path: x\n")
    before = texts(folder)
    assert "artifacts already has law" in dapt(folder, "add", "domain", "law", "data/local/law/first.txt", code=2)
    assert texts(folder) == before


def test_more_text_of_a_domain_is_a_corpus_of_its_own(dapt, folder):
    said = dapt(
        folder, "add", "corpus", "rulings", "--from", "data/local/cases.csv", "--to", "finance", "--column", "body"
    )
    assert "next: dvc repro evaluate@finance" in said
    params = config.load(folder)
    assert params.domains["finance"] == ["finance_mlm1", "finance_mlm2", "rulings"]
    assert params.profiles["full"].corpora["rulings"][0].files == ["cases.csv"]
    assert len(changed_lines(folder, "params.yaml")) == 2
    assert "params.yaml has no domain 'finanse'" in dapt(
        folder, "add", "corpus", "more", "--from", "data/local/cases.csv", "--to", "finanse", code=2
    )


def test_a_base_of_one_s_own_is_audited_and_named(dapt, folder, model_folder):
    shutil.copytree(model_folder, folder / "data/local/mine")
    said = dapt(folder, "add", "base", "mine", "--from", "data/local/mine", "--licence", "ours")
    assert "mine: bert, 27,680 parameters" in said and "missing weights: none" in said
    assert said.splitlines()[-1] == "next: dvc exp run -S profiles/sample.yaml:model.base=mine"
    found = config.load(folder).bases["mine"]
    assert (found.local.folder, found.files, found.licence) == ("data/local/mine", "auto", "ours")
    new = changed_lines(folder, "params.yaml")
    assert new == ["  mine:", "    local:", "      folder: data/local/mine", "    files: auto", "    licence: ours"]
    lines = (folder / "params.yaml").read_text().splitlines()
    assert (
        lines[lines.index("  mine:") - 1] == "    licence: Apache-2.0"
    )  # behind the last one, before the next comment


@pytest.mark.parametrize(
    "lacks, message", [("config.json", "needs exactly one folder with a config.json"), ("vocab", "no tokenizer")]
)
def test_a_base_that_is_no_use_is_not_written(dapt, folder, model_folder, lacks, message):
    shutil.copytree(
        model_folder,
        folder / "data/local/mine",
        ignore=lambda _, names: [x for x in names if lacks in x or "token" in x and lacks == "vocab"],
    )
    before = texts(folder)
    assert message in dapt(folder, "add", "base", "mine", "--from", "data/local/mine", code=2).splitlines()[-1]
    assert texts(folder) == before


@pytest.fixture()
def reviews(folder) -> Path:
    """A table of 60 texts with two labels, and one of questions."""
    rows = [
        f"The {number}th film was {'good' if number % 2 else 'bad'}.,{number % 2},v{number // 4}\n"
        for number in range(60)
    ]
    (folder / "data/local/reviews.csv").write_text("".join(["review,mood,film\n", *rows]))
    answers = [f"What is {number}?,It is {number} and no more.,{number % 3}\n" for number in range(300)]
    (folder / "data/local/answers.csv").write_text("".join(["question,reply,right\n", *answers]))
    return folder


def test_a_task_is_added_from_a_table_and_removed_without_a_trace(dapt, reviews):
    said = dapt(reviews, "add", "task", "mood", "data/local/reviews.csv", "--kind", "classification", "--text", "review",
                "--label", "mood", "--group", "film", "--licence", "ours")  # fmt: skip
    assert "data/local/reviews.csv: 60 of 60 rows are kept\n" in said and "labels: 0 30, 1 30" in said
    assert said.splitlines()[-1] == "next: dvc repro finetune@mood-base baseline@mood, or dvc repro for all models"
    params = config.load(reviews)
    assert params.tasks["mood"].words == "tfidf" and params.corpora["mood"].labelled
    for profile in params.profiles.values():
        task, (source,) = profile.tasks["mood"], profile.corpora["mood"]
        (other,) = {(t.length, t.epochs, t.lr) for t in [profile.tasks["finance_classification"]]}
        assert (task.corpus, task.kind, task.fields) == ("mood", "classification", ["label"])
        assert (task.length, task.epochs, task.lr) == other
        assert source.options == {"column": "review", "label": "mood", "group": "film", "least": 1}
    check(params)
    dapt(reviews, "remove", "task", "mood")
    assert texts(reviews) == {name: committed_text(name) for name in FILES}


@pytest.mark.parametrize(
    "words, fields, baseline",
    [
        (("--kind", "ranking", "--question", "question", "--answer", "reply"), ["question", "answer"], "bm25"),
        (
            ("--kind", "multiple_choice", "--question", "question", "--options", "question,reply,right", "--answer", "right",
             "--option", "first=0", "--profile", "sample"),
            ["question", "options", "answer"],
            "overlap",
        ),
    ],
)  # fmt: skip
def test_tasks_of_questions_are_added(dapt, reviews, words, fields, baseline):
    dapt(reviews, "add", "task", "mine", "data/local/answers.csv", *words)
    params = config.load(reviews)
    task = params.active.tasks["mine"]
    assert task.fields == fields and params.tasks["mine"].words == baseline
    assert ("mine" in params.profiles["full"].tasks) == ("--profile" not in words)
    check(params)


@pytest.mark.parametrize(
    "words, message",
    [
        (("--kind", "rank", "--question", "question"), "there is no kind of task 'rank'; did you mean ranking?"),
        (("--kind", "ranking", "--question", "question"), "needs --answer, each with the name of a column"),
        (("--kind", "classification", "--text", "question", "--label", "right", "--answer", "reply"), "has no option --answer"),
        (("--kind", "classification", "--text", "question", "--label", "topic"), "answers.csv has no column topic; its columns are: "),
        (("--kind", "classification", "--text", "reply", "--label", "reply"), "no training row has the label"),
        (("--kind", "classification", "--text", "question", "--label", "right", "--split", "reply"), "row 1: unknown side"),
    ],
)  # fmt: skip
def test_a_task_that_cannot_work_is_refused_before_anything_is_written(dapt, reviews, words, message):
    before = texts(reviews)
    assert message in dapt(reviews, "add", "task", "mine", "data/local/answers.csv", *words, code=2).splitlines()[-1]
    assert texts(reviews) == before


def test_labels_that_contradict_each_other_are_counted(dapt, reviews):
    path = reviews / "data/local/reviews.csv"
    path.write_text(path.read_text() + "The 2th film was bad.,1,v9\n")
    words = ("--kind", "classification", "--text", "review", "--label", "mood", "--dry-run")
    said = dapt(reviews, "add", "task", "mood", "data/local/reviews.csv", *words)
    assert "60 of 61 rows are kept (dropped: 1 duplicate)" in said
    assert "1 text has different labels in different rows; the first row is used" in said


def test_a_task_by_which_models_are_chosen_is_not_removed(dapt, folder):
    named = "biomed_topic is used as compare.task in profiles/full.yaml, profiles/sample.yaml; set another"
    assert named in dapt(folder, "remove", "task", "biomed_topic", code=2)
    dapt(folder, "remove", "task", "finance_classification")
    params = config.load(folder)
    assert "finance_classification" not in params.active.tasks and "finance_mlm2" in params.corpora


def test_a_link_to_a_folder_is_said_to_be_one(dapt, folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/a.txt").write_text("A text that lies in another place than this.\n")
    (folder / "data/local/linked").symlink_to(folder / "elsewhere")
    said = dapt(folder, "add", "domain", "far", "data/local/linked")
    assert "DVC does not see changes behind a link; after a change of these files run dapt fetch --pin far" in said
    assert "link" not in dapt(folder, "add", "domain", "law", "data/local/law/first.txt")


def test_dvc_leaves_what_was_added_as_it_was_written(dapt, reviews):
    """By the function of DVC's own that `dvc exp run -S` calls."""
    dapt(reviews, "add", "domain", "law", "data/local/law/first.txt", "--licence", "free: for all, with a comma")
    dapt(reviews, "add", "task", "mood", "data/local/reviews.csv", "--kind", "classification", "--text", "review",
         "--label", "mood")  # fmt: skip
    for name, setting in (
        ("params.yaml", "domain=law"),
        ("profiles/sample.yaml", "split.overlap=14"),
        ("profiles/full.yaml", "split.overlap=14"),
    ):
        before = (reviews / name).read_text().splitlines()
        apply_overrides(str(reviews / name), [setting])
        after = (reviews / name).read_text().splitlines()
        assert len(after) == len(before)
        assert sum(old != new for old, new in zip(before, after)) == 1
