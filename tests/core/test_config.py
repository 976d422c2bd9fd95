import pytest

from dapt.core import config
from dapt.telling.errors import UserError
from repositories import committed_params, committed_text

NAMES, SAMPLE = "params.yaml", "profiles/sample.yaml"


def test_committed_settings_are_right():
    params = committed_params()
    assert params.active is params.profiles["sample"]
    assert params.own_sets("biomed_finance") == ["biomed", "finance"] and params.own_sets("general") == ["general"]


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        (NAMES, "profile: sample\n", "profile: smaple\n", "profile: unknown name 'smaple'; did you mean sample?"),
        (
            NAMES,
            "domain: biomed\n",
            "domain: law\n",
            "domain: unknown name 'law'; known: biomed, biomed_finance, finance, g",
        ),
        (SAMPLE, "  steps: 300", "  stpes: 300", "train.stpes: unknown setting; did you mean steps?"),
        (SAMPLE, "  steps: 300", "  steps: many", "train.steps: .*valid integer.*'many'"),
        (SAMPLE, "  steps: 300", "  steps: 3.5", "train.steps: .*integer.*3.5"),
        (SAMPLE, "  steps: 300", "  steps: true", "train.steps: .*integer.*True"),
        (SAMPLE, "  steps: 300", "  steps: -1", "train.steps: .*greater than or equal to 0"),
        (SAMPLE, "  warmup: 30", "  warmup: 301", "train: warmup is 301 steps, but there are only 300 steps"),
        (SAMPLE, "  allow: false", "  allow: 1", "repair.allow: .*boolean.*1"),
        (SAMPLE, "  allow: false\n", "", "repair.allow: missing"),
        (SAMPLE, "  batch: 32\n  window", "  window", "train.batch: missing"),
        (SAMPLE, "  mask: 0.15", "  mask: 1.5", "train.mask: .*less than 1"),
        (SAMPLE, "  precision: auto", "  precision: fp8", "train.precision: .*'fp8'"),
        (SAMPLE, "  base: tiny", "  base: huge", "model.base: unknown name 'huge'"),
        (SAMPLE, "  target: biomed\n", "  target: law\n", "compare.target: unknown name 'law'"),
        (SAMPLE, "  task: biomed_topic\n", "  task: topics\n", "compare.task: unknown name 'topics'"),
        (NAMES, "models:\n- base\n", "models:\n", "models must list base and then the domains"),
        (NAMES, "    words: overlap\n", "", "tasks.multiple_choice.words: missing"),
        (
            NAMES,
            "    words: overlap\n",
            "    word: overlap\n",
            "tasks.multiple_choice.word: unknown setting; did you mean words",
        ),
        (NAMES, "finetuned:\n- base\n- biomed\n", "finetuned:\n- base\n- law\n", "finetuned: unknown name 'law'"),
        (NAMES, "control: general", "control: none", "control: unknown name 'none'"),
        (NAMES, "  - biomed_mlm_2\n", "  - medmcqa_labeled\n", "domains.biomed: .*medmcqa_labeled"),
        (NAMES, "profile: sample\n", "profile: [\n", "is not valid YAML"),
        (NAMES, "domain: biomed\n", "domain: biomed\ndomain: finance\n", "is not valid YAML.*duplicate key"),
        (
            NAMES,
            "control: general\n",
            "control: general\nprofiles: {}\n",
            "profiles: move each profile into a file .*profiles/NAME.yaml",
        ),
        (SAMPLE, "  - 0\n  - 1\n  - 2\n", "  - 0\n", "finetune.seeds: .*at least 2"),
        (SAMPLE, "  - 0\n  - 1\n  - 2\n", "  - 0\n  - 0\n", "finetune.seeds: a seed is listed twice"),
        (
            SAMPLE,
            "  multiple_choice:\n",
            "  multiple:\n",
            "tasks: unknown name 'multiple'; did you mean multiple_choice",
        ),
        (
            SAMPLE,
            "    corpus: fiqa_labeled\n",
            "    corpus: fiqa\n",
            "tasks.answer_ranking.corpus: unknown name 'fiqa'",
        ),
        (
            SAMPLE,
            "  - name: healthtweets\n",
            "  - {name: healthtweets, cleaner: tweets, local: {folder: data/local}, files: [a], licence: none}\n"
            "  - name: healthtweets\n",
            "corpora.biomed_mlm_2: 2 of its 2 sources are named healthtweets",
        ),
        (SAMPLE, "sha256: cfa3", "sha256: xfa3", "sha256"),
        (SAMPLE, "\ncompare:", "\ncompare: [", "is not valid YAML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(file, old, new, message):
    with pytest.raises(UserError, match=f"(?s){file}:? .*{message}"):
        committed_params((file, old, new))


def test_numbers_are_read_as_dvc_reads_them():
    """1e-3 is a number in YAML 1.2, a string in YAML 1.1."""
    assert committed_params((SAMPLE, "lr: 1.0e-3\n  warmup", "lr: 1e-3\n  warmup")).active.train.lr == 0.001


def test_the_active_profile_alone_must_speak_of_every_corpus_and_task():
    corpus = (NAMES, "  general: {enabled", "  law: {enabled: true, labelled: false}\n  general: {enabled")
    task = (NAMES, "\ntasks:\n", "\ntasks:\n  statutes: {words: tfidf}\n")
    sources = "  law:\n  - {name: law, cleaner: text, files: [a], local: {folder: data/local}, licence: mine}\n"
    more = (SAMPLE, "\ncorpora:\n", f"\ncorpora:\n{sources}")
    rows = "  statutes: {corpus: law, fields: [label], kind: classification, length: 64, epochs: 1, lr: 1.0e-3}\n"
    with pytest.raises(UserError, match=f"{SAMPLE}: corpora has no entry for law, which params.yaml names"):
        committed_params(corpus)
    with pytest.raises(UserError, match=f"{SAMPLE}: tasks has no entry for statutes, which params.yaml names"):
        committed_params(task)
    with pytest.raises(UserError, match=f"{SAMPLE}: corpora: unknown name 'law'"):
        committed_params(more)
    committed_params(corpus, more, task, (SAMPLE, "\ntasks:\n", f"\ntasks:\n{rows}"))


@pytest.mark.parametrize("length", ["", "steps: 300\n  epochs: 1.0"])
def test_a_training_has_one_length(length):
    with pytest.raises(UserError, match=f"{SAMPLE}: train: must have exactly one of steps, epochs and tokens"):
        committed_params((SAMPLE, "steps: 300", length))


def test_a_profile_is_a_file_beside_params(tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "params.yaml").write_text(committed_text(NAMES))
    (tmp_path / "profiles/sample.yaml").write_text(committed_text(SAMPLE))
    assert set(config.load(tmp_path).profiles) == {"sample"}
    (tmp_path / "profiles/full.yaml").write_text(committed_text("profiles/full.yaml"))
    assert config.load(tmp_path) == committed_params()
