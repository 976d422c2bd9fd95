"""A toy of the whole pipeline: the real stages on generated text, two domains and a control, one task, and a BERT of
30,000 parameters. It runs from nothing in a minute.
"""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

from repositories import copy_of_code, run
from small_models import write_model, write_tokenizer

SUBJECTS = {
    "biomed": "patients fever infection dose therapy tissue lesion serum kidney biopsy syndrome symptom",
    "finance": "shares profit market bank dividend loan merger quarter revenue investor bond inflation",
    "general": "river village music painter season journey window garden teacher winter story bridge",
}
COMMON = "the a of and in to with for after before during rose fell was were had seen found given many some few new"
PARAMS = """\
profile: sample
domain: biomed
corpora:
  biomed_mlm: {enabled: true, labelled: false}
  biomed_mlm_2: {enabled: true, labelled: false}
  finance_mlm1: {enabled: true, labelled: false}
  general: {enabled: true, labelled: false}
domains:
  biomed: [biomed_mlm, biomed_mlm_2]
  finance: [finance_mlm1]
  general: [general]
control: general
heldout: [biomed, finance, general]
models: [base, biomed, finance, general]
tasks:
  finance_classification: {words: tfidf}
finetuned: [base, biomed]
bases:
  tiny:
    local: {folder: toy}
    files: [base/model.safetensors, base/config.json, base/tokenizer.json, base/tokenizer_config.json]
    licence: none
"""
PROFILE = """\
corpora:
  biomed_mlm:
    - {name: first, cleaner: text, local: {folder: toy}, files: [biomed.txt], licence: none, show: true}
  biomed_mlm_2:
    - {name: second, cleaner: text, local: {folder: toy}, files: [biomed_2.txt], licence: none}
  finance_mlm1:
    - {name: phrases, cleaner: financial_phrasebank, local: {folder: toy}, files: [finance.txt], licence: none}
  general:
    - {name: other, cleaner: text, local: {folder: toy}, files: [general.txt], licence: none}
model: {base: tiny}
split: {heldout: 0.15, valid: 0.1, similar: 0.7, overlap: 13}
repair: {allow: false, max_steps: 4, every: 2, patience: 2, least: 0.02, lr: 1.0e-3, seed: 0}
train:
  steps: 6
  batch: 8
  window: 32
  lr: 1.0e-3
  warmup: 2
  weight_decay: 0.01
  clip: 1.0
  mask: 0.15
  dropout: 0.0
  seed: 0
  threads: 1
  precision: fp32
  valid_every: 3
  valid_windows: 8
  save_every: 50
  keep: []
evaluate: {mask: 0.15, draws: 1, window: 32, batch: 32, threads: 1, seed: 1, unknown: refuse}
finetune: {seeds: [0, 1], batch: 16, threads: 1, warmup: 0.1, weight_decay: 0.01, clip: 1.0, dropout: 0.0, valid: 20,
           patience: 2}
tasks:
  finance_classification:
    {corpus: finance_mlm1, fields: [label], kind: classification, length: 32, epochs: 1, lr: 1.0e-3}
compare: {rule: mean, target: biomed, task: finance_classification, resamples: 200, seed: 2}
"""


def texts(subject: str, count: int, seed: int) -> list[str]:
    """Lines of 8 to 30 words, one in three of the subject."""
    chance, words = random.Random(f"{subject}{seed}"), SUBJECTS[subject].split()
    return [
        " ".join(
            chance.choice(words if chance.random() < 1 / 3 else COMMON.split()) for _ in range(chance.randint(8, 30))
        )
        for _ in range(count)
    ]


def write_raw(folder: Path) -> None:
    """The raw files; a phrase that holds `profit` is positive, as a task that can be learned."""
    folder.mkdir()
    for name, subject, seed in (("biomed", "biomed", 0), ("biomed_2", "biomed", 1), ("general", "general", 0)):
        (folder / f"{name}.txt").write_text("".join(f"{text}\n" for text in texts(subject, 250, seed)))
    phrases = texts("finance", 400, 0)
    (folder / "finance.txt").write_text(
        "".join(f"{text}@{'positive' if 'profit' in text else 'neutral'}\n" for text in phrases)
    )


def write_base(folder: Path) -> None:
    """The toy's encoder: 30,000 parameters, a head of random weights."""
    every = [text for subject in SUBJECTS for text in texts(subject, 200, 0)]
    with TemporaryDirectory() as tokenizer:
        write_model(folder, write_tokenizer(Path(tokenizer), every, 150), 152)


def copy_with_toys(folder: Path) -> Path:
    """The repository's code in a git repository of its own, with the toy's settings and raw files, without a lock."""
    copy_of_code(folder)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "profiles/sample.yaml").write_text(PROFILE)
    (folder / "profiles/full.yaml").unlink()
    write_raw(folder / "toy")
    write_base(folder / "toy/base")
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "start")
    return folder
