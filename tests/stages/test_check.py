import pytest

from dapt.core import config
from dapt.stages.check import check
from dapt.telling.errors import UserError
from repositories import committed_text

TEXT = committed_text("params.yaml")


def test_committed_params_pass():
    check(config.parse(TEXT))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("cleaner: tweets", "cleaner: twets", "biomed_mlm_2.0.cleaner: unknown cleaner 'twets'; known: .*tweets"),
        (
            "options: {select: finance}",
            "options: {choose: finance}",
            "finance_mlm1.0.options: .*no option 'choose'; it takes: least, select",
        ),
        (
            "options: {select: finance}",
            "options: {least: many}",
            "finance_mlm1.0.options.least: must be int, not 'many'",
        ),
        (
            "kind: ranking",
            "kind: rank",
            "tasks.answer_ranking.sample.kind: unknown kind 'rank'; known: classification, .*ranking",
        ),
        (
            "finance_mlm2: {enabled: true",
            "finance_mlm2: {enabled: false",
            "tasks.finance_classification.sample.corpus: finance_mlm2 is not enabled",
        ),
    ],
)
def test_a_cleaner_option_or_kind_that_is_not_there_is_refused(old, new, message):
    with pytest.raises(UserError, match=message):
        check(config.parse(TEXT.replace(old, new, 1)))


def test_the_full_profile_trains_with_the_seeds_values():
    train = config.parse(TEXT).profiles["full"].train
    assert (train.steps, train.lr, train.mask, train.warmup, train.weight_decay) == (2000, 5e-5, 0.15, 100, 0.01)
    assert (train.batch, train.window, train.save_every, train.keep) == (8, 128, 500, [1500, 2000])


def test_what_may_change_under_its_name_is_told():
    params = config.parse(TEXT.replace("profile: sample", "profile: full", 1))
    assert params.unpinned() == ["Hmehdi515/biomedical_en-de"]
    assert config.parse(TEXT).unpinned() == []
    off = TEXT.replace("biomed_mlm_2: {enabled: true", "biomed_mlm_2: {enabled: false")
    assert config.parse(off.replace("profile: sample", "profile: full", 1)).unpinned() == []
    branch = TEXT.replace("profile: sample", "profile: full", 1).replace("revision: 6ecebb2", "revision: main")
    assert config.parse(branch).unpinned() == ["Hmehdi515/biomedical_en-de", "bhadresh-savani/bert-base-go-emotion"]
