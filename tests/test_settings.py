"""What `dvc exp run -S` and `dvc exp apply` leave of params.yaml and the profiles: all but what was asked for."""

import pytest
from dvc.utils.hydra import apply_overrides

from repositories import committed_files, committed_text


@pytest.mark.parametrize(
    "name, override, before, after",
    [
        ("params.yaml", "domain=finance", "domain: biomed", "domain: finance"),
        ("params.yaml", "profile=full", "profile: sample", "profile: full"),
        (
            "params.yaml",
            "corpora.biomed_mlm.enabled=false",
            "biomed_mlm: {enabled: true",
            "biomed_mlm: {enabled: false",
        ),
        ("profiles/sample.yaml", "train.lr=2e-3", "  lr: 1.0e-3\n  warmup: 30", "  lr: 0.002\n  warmup: 30"),
        ("profiles/sample.yaml", "finetune.seeds=[0,1]", "  - 0\n  - 1\n  - 2\n", "  - 0\n  - 1\n"),
        ("profiles/full.yaml", "model.base=bert-base", "base: go-emotion", "base: bert-base"),
        ("profiles/full.yaml", "train.steps=4000", "steps: 2000", "steps: 4000"),
    ],
)
def test_dvc_changes_what_was_asked_for_and_nothing_else(tmp_path, name, override, before, after):
    """By the function of DVC's own that both commands call. Lists in brackets, comments behind lists, long lines and
    anchors would not come back as they were."""
    committed_files(tmp_path, "params.yaml", "profiles")
    apply_overrides(str(tmp_path / name), [override])
    assert (tmp_path / name).read_text() == committed_text(name).replace(before, after)
    assert before in committed_text(name)
