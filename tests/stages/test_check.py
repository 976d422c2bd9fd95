import hashlib
import json

import pytest

from dapt.core import config
from dapt.stages.check import check, write_local_hashes
from dapt.telling.errors import UserError
from repositories import committed_params
from toy_pipeline import PARAMS, PROFILE

FULL = ("params.yaml", "profile: sample", "profile: full")


def test_committed_settings_pass():
    check(committed_params())


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        (
            "profiles/sample.yaml",
            "cleaner: tweets",
            "cleaner: twets",
            "profiles/sample.yaml: corpora.biomed_mlm_2.0.cleaner: unknown cleaner 'twets'; known: .*tweets",
        ),
        (
            "profiles/sample.yaml",
            "select: finance",
            "choose: finance",
            "finance_mlm1.0.options: .*no option 'choose'; its options are: least, select",
        ),
        (
            "profiles/sample.yaml",
            "select: finance",
            "least: many",
            "finance_mlm1.0.options.least: must be int, not 'many'",
        ),
        (
            "profiles/full.yaml",
            "kind: ranking",
            "kind: rank",
            "profiles/full.yaml: tasks.answer_ranking.kind: unknown kind 'rank'; known: classification, .*ranking",
        ),
        (
            "params.yaml",
            "finance_mlm2: {enabled: true",
            "finance_mlm2: {enabled: false",
            "profiles/sample.yaml: tasks.finance_classification.corpus: finance_mlm2 is not enabled",
        ),
    ],
)
def test_a_cleaner_option_or_kind_that_is_not_there_is_refused(file, old, new, message):
    with pytest.raises(UserError, match=message):
        check(committed_params((file, old, new)))


def test_the_full_profile_trains_with_the_original_projects_values():
    train = committed_params().profiles["full"].train
    assert (train.steps, train.lr, train.mask, train.warmup, train.weight_decay) == (2000, 5e-5, 0.15, 100, 0.01)
    assert (train.batch, train.window, train.save_every, train.keep) == (8, 128, 500, [1500, 2000])


def test_what_may_change_under_its_name_is_told():
    assert committed_params().unpinned() == []
    assert committed_params(FULL).unpinned() == ["Hmehdi515/biomedical_en-de"]
    off = ("params.yaml", "biomed_mlm_2: {enabled: true", "biomed_mlm_2: {enabled: false")
    assert committed_params(FULL, off).unpinned() == []
    branch = ("params.yaml", "revision: 6ecebb2", "revision: main")
    assert committed_params(FULL, branch).unpinned() == [
        "Hmehdi515/biomedical_en-de",
        "bhadresh-savani/bert-base-go-emotion",
    ]


def test_each_corpus_has_the_hashes_of_the_users_files_and_keeps_them_where_these_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy/base").mkdir(parents=True)
    names = ("biomed.txt", "biomed_2.txt", "finance.txt", "general.txt")
    for name in (*names, *(f"base/{file}" for file in ("model.safetensors", "config.json", "tokenizer.json"))):
        (tmp_path / "toy" / name).write_text(name)

    def hashes() -> dict[str, dict[str, str]]:
        write_local_hashes(config.parse_params(PARAMS, {"sample": PROFILE}))
        return {path.stem: json.loads(path.read_text()) for path in (tmp_path / "metrics/local").iterdir()}

    first = hashes()
    assert set(first) == {"biomed_mlm", "biomed_mlm_2", "finance_mlm1", "general", "model"}
    assert first["biomed_mlm"] == {"toy/biomed.txt": hashlib.sha256(b"biomed.txt").hexdigest()}
    assert len(first["model"]) == 3  # of the four files that the settings name
    (tmp_path / "toy/biomed.txt").write_text("another text")
    second = hashes()
    assert {name for name in first if first[name] != second[name]} == {"biomed_mlm"}
    for name in names:
        (tmp_path / "toy" / name).unlink()
    (tmp_path / "metrics/local/gone.json").write_text("{}")
    assert hashes() == second
    assert {name for name, files in committed_hashes(tmp_path).items() if files} == set()


def committed_hashes(folder) -> dict[str, dict]:
    """Of the shipped settings, none of whose files a user brings."""
    for path in (folder / "metrics/local").iterdir():
        path.unlink()
    write_local_hashes(committed_params())
    return {path.stem: json.loads(path.read_text()) for path in (folder / "metrics/local").iterdir()}
