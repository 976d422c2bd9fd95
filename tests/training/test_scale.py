"""Peak anonymous memory of a training must not grow with the corpus: 4 MB of tokens against 80.

DAPT_TOKENS_MB sets the larger size; the smaller is a hundredth of it, and 4 at least.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dapt.mlm.tokens import write_tokens
from repositories import ROOT, change, committed_files

MB = int(os.environ.get("DAPT_TOKENS_MB", "80"))


def documents(tokens: int, seed: int) -> Iterator[np.ndarray]:
    """Nine of ten short, one of a hundred very long; together `tokens` tokens."""
    chance = np.random.default_rng(seed)
    source = chance.integers(5, 120, 1 << 20)
    while tokens > 0:
        kinds = chance.choice(3, 1000, p=[0.9, 0.09, 0.01])
        for length in chance.integers(np.array([5, 200, 1000])[kinds], np.array([60, 600, 20000])[kinds]).tolist():
            begin = int(chance.integers(len(source) - length))
            yield source[begin : begin + min(length, tokens)]
            if (tokens := tokens - length) <= 0:
                return


def repository(folder: Path, model_folder: Path, special, mb: int) -> Path:
    """A place to train on `mb` MB of tokens and a fiftieth of that for validation."""
    folder.mkdir()
    committed_files(folder, "params.yaml", "profiles", "dvc.yaml")
    change(
        folder,
        {
            "train.steps": 60,
            "train.batch": 16,
            "train.valid_every": 30,
            "train.save_every": 20,
            "train.threads": 1,
            "train.precision": "fp32",
        },
    )
    shutil.copytree(model_folder, folder / "models/base")
    for seed, (name, tokens) in enumerate({"train": mb * 500_000, "valid": mb * 10_000}.items()):
        written = write_tokens(folder / "data/tokens/biomed", name, documents(tokens, seed), special)
        assert len(written.ids) == tokens and written.ids.dtype.itemsize == 2
    return folder


def peak_of_training(folder: Path) -> int:
    """The most that RssAnon of a training was, in kB, looked at every few milliseconds."""
    environment = os.environ | {"DAPT_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT / "src")}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dapt.stages.train", "biomed"], cwd=folder, env=environment, stdout=log, stderr=log
        )
        peak = 0
        while process.poll() is None:
            if found := re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text()):
                peak = max(peak, int(found[1]))
            time.sleep(0.003)
    assert process.returncode == 0, (folder / "log").read_text()
    return peak


def test_memory_of_a_training_does_not_grow_with_its_tokens(model_folder, special, tmp_path):
    sizes = max(4, MB // 100), MB
    peaks = []
    for mb in sizes:
        with TemporaryDirectory(dir=tmp_path) as folder:  # not kept, as pytest would
            peaks.append(peak_of_training(repository(Path(folder) / "run", model_folder, special, mb)))
    small, large = peaks
    print(f"peak RssAnon: {small / 1024:.1f} MB with {sizes[0]} MB of tokens, {large / 1024:.1f} MB with {sizes[1]} MB")
    assert large < 1.1 * small
