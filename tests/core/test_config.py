import pytest

from dapt.core import config
from dapt.telling.errors import UserError
from repositories import committed_text, replaced

TEXT = committed_text("params.yaml")


def test_committed_params_are_right():
    params = config.parse(TEXT)
    assert params.active is params.profiles["sample"]
    assert params.own_sets("biomed_finance") == ["biomed", "finance"] and params.own_sets("general") == ["general"]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("profile: sample", "profile: smaple", "profile: unknown name 'smaple'; did you mean sample?"),
        (
            "domain: biomed\n",
            "domain: law\n",
            "domain: unknown name 'law'; known: biomed, biomed_finance, finance, general",
        ),
        ("      steps: 300", "      stpes: 300", "profiles.sample.train.stpes: unknown setting; did you mean steps?"),
        ("      steps: 300", "      steps: many", "profiles.sample.train.steps: .*valid integer.*'many'"),
        ("      steps: 300", "      steps: 3.5", "profiles.sample.train.steps: .*integer.*3.5"),
        ("      steps: 300", "      steps: true", "profiles.sample.train.steps: .*integer.*True"),
        ("      steps: 300", "      steps: -1", "profiles.sample.train.steps: .*greater than or equal to 0"),
        ("      warmup: 30", "      warmup: 301", "profiles.sample.train: warmup is 301 steps, more than the 300"),
        ("repair: {allow: false", "repair: {allow: 1", "profiles.sample.repair.allow: .*boolean.*1"),
        ("repair: {allow: false, ", "repair: {", "profiles.sample.repair.allow: missing"),
        ("      mask: 0.15", "      mask: 1.5", "profiles.sample.train.mask: .*less than 1"),
        ("      precision: auto", "      precision: fp8", "profiles.sample.train.precision: .*'fp8'"),
        ("    model: {base: tiny}", "    model: {base: huge}", "profiles.sample.model.base: unknown name 'huge'"),
        ("models: [base, biomed,", "models: [biomed,", "models must be base and the domains"),
        ("    words: overlap\n", "", "tasks.multiple_choice.words: missing"),
        (
            "    words: overlap\n",
            "    word: overlap\n",
            "tasks.multiple_choice: unknown name 'word'; did you mean words",
        ),
        (
            "    words: overlap\n",
            "    words: overlap\n    sampel: {}\n",
            "tasks.multiple_choice: unknown name 'sampel'; did you mean sample",
        ),
        (
            "    words: overlap\n",
            "    words: overlap\n    lr: 1.0e-3\n",
            "tasks.multiple_choice: unknown name 'lr'; known: about, full, sample, words",
        ),
        (
            "    words: overlap\n    sample:",
            "    words: overlap\n    full2:",
            "tasks.multiple_choice: unknown name 'full2'; did you mean full",
        ),
        (
            "  finance_classification:\n",
            "  law: {words: tfidf}\n  finance_classification:\n",
            "tasks.law says nothing of the profile sample; add its settings there",
        ),
        ("finetuned: [base, biomed,", "finetuned: [base, law,", "finetuned: unknown name 'law'"),
        ("      seeds: [0, 1, 2]\n", "      seeds: [0]\n", "profiles.sample.finetune.seeds: .*at least 2"),
        ("control: general", "control: none", "control: unknown name 'none'"),
        (
            "  biomed: [biomed_mlm, biomed_mlm_2]",
            "  biomed: [biomed_mlm, medmcqa_labeled]",
            "domains.biomed: .*medmcqa_labeled",
        ),
        (
            "        - name: healthtweets\n",
            "        - {name: healthtweets, cleaner: tweets, local: {folder: data/local}, files: [a], licence: none}\n"
            "        - name: healthtweets\n",
            "profiles.sample.corpora.biomed_mlm_2: 2 sources, of which 2 are named healthtweets",
        ),
        ("version: 4.0.0, sha256: cfa3", "version: 4.0.0, sha256: xfa3", "sha256"),
        ("profile: sample", "profile: [", "is not YAML"),
        ("domain: biomed\n", "domain: biomed\ndomain: finance\n", "is not YAML.*duplicate key"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(old, new, message):
    with pytest.raises(UserError, match=f"(?s)params.yaml.*{message}"):
        config.parse(replaced(TEXT, old, new))


def test_numbers_are_read_as_dvc_reads_them():
    """1e-3 is a number in YAML 1.2, a string in YAML 1.1."""
    assert config.parse(replaced(TEXT, "lr: 1.0e-3 ", "lr: 1e-3 ")).active.train.lr == 0.001


def test_a_corpus_must_have_sources_in_the_active_profile_alone():
    more = replaced(TEXT, "  general: {enabled", "  law: {enabled: true, labelled: false}\n  general: {enabled")
    with pytest.raises(UserError, match="profiles.sample.corpora says nothing of law"):
        config.parse(more)
    source = (
        "      law:\n        - {name: law, cleaner: text, files: [a], local: {folder: data/local}, licence: mine}\n"
    )
    config.parse(replaced(more, "    model: {base: tiny}", source + "    model: {base: tiny}"))
    with pytest.raises(UserError, match="profiles.sample.corpora: unknown name 'law'"):
        config.parse(replaced(TEXT, "    model: {base: tiny}", source + "    model: {base: tiny}"))


def test_a_missing_setting_is_named():
    with pytest.raises(UserError, match="profiles.sample.train.batch: missing"):
        config.parse(replaced(TEXT, "      batch: 32 ", "      #"))


@pytest.mark.parametrize("length", ["", "steps: 300\n      epochs: 1.0"])
def test_a_training_has_one_length(length):
    with pytest.raises(UserError, match="profiles.sample.train: must have one of steps, epochs and tokens"):
        config.parse(replaced(TEXT, "steps: 300", length))
