"""Before the queue is asked: the cards, the needs and the checks, without a cluster."""

import re
from dataclasses import replace

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from cluster_settings import SETTINGS, with_
from dapt.bench.sides import step_flops
from dapt.core import config
from dapt.launch import estimates, preflight
from dapt.launch.gpus import CARDS, alternatives, card_of
from dapt.launch.preflight import Disk, Facts, check
from dapt.mlm.windows import windows_on_disk
from dapt.telling.errors import UserError
from repositories import ROOT, ground_in

FULL = config.load(ROOT).profiles["full"].train
BERT = estimates.Model(109_514_298, 768, 12, 30522)
CUDA = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")
FACTS = Facts("2.13.0+cu126", CUDA, BERT, [Disk("/repository", 10**9, 10**10)])


def training(**values) -> config.Train:
    return FULL.model_copy(update=values)


@pytest.mark.parametrize(
    "constraint, result",
    [
        (None, []),
        ("2080ti", ["2080ti"]),
        ("a100|v100", ["a100", "v100"]),
        ("[a100|v100]", ["a100", "v100"]),
        ("(a100|v100)&ib", ["a100&ib", "v100&ib"]),
    ],
)
def test_what_a_constraint_leaves_to_slurm(constraint, result):
    assert alternatives(constraint) == result


@pytest.mark.parametrize(
    "feature, name",
    [
        ("2080ti", "RTX 2080 Ti"),
        ("nvidia_geforce_rtx_2080_ti", "RTX 2080 Ti"),
        ("gtx1080ti", "GTX 1080 Ti"),
        ("ib&A100", "A100"),
        ("rtx_a6000", "RTX A6000"),
        ("titan_rtx", "Titan RTX"),
        ("rtx3090", "RTX 3090"),
    ],
)
def test_cards_are_known_by_the_names_of_features(feature, name):
    assert card_of(feature).name == name


@pytest.mark.parametrize("feature", ["avx512", "gpu", "bigmem&ib", "rtx_6000_ada"])
def test_other_features_are_no_cards(feature):
    assert card_of(feature) is None


def test_a_card_without_code_is_refused_before_the_queue_and_named():
    with pytest.raises(
        UserError, match="GTX 1080 Ti has compute capability 6.1, .* no code for it.*7.5 and up.*constraint=2080ti"
    ):
        check(with_(constraint="2080ti|1080ti"), FULL, FACTS)


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.capability >= (7, 5)])
def test_the_others_pass_with_the_full_profile(name):
    assert check(with_(constraint=name), FULL, FACTS) == []


def test_a_build_for_cpus_refuses_no_card_and_says_what_it_is():
    (note,) = check(with_(constraint="1080ti"), FULL, replace(FACTS, built_for=()))
    assert "CPU build" in note
    assert check(with_(constraint=None, gpus=0), FULL, replace(FACTS, built_for=())) == []


@pytest.mark.parametrize("constraint, words", [("h900", "h900: not a known GPU"), (None, "no GPU type is requested")])
def test_what_is_not_known_passes_with_a_word(constraint, words):
    (note,) = check(with_(constraint=constraint), FULL, FACTS)
    assert words in note


def test_a_precision_that_the_card_lacks_is_refused():
    with pytest.raises(UserError, match="train.precision is bf16, which RTX 2080 Ti does not support"):
        check(with_(), training(precision="bf16"), FACTS)


def test_a_batch_too_large_for_the_card_is_taken_in_parts_by_one_process_and_refused_with_several():
    large = training(batch=64, window=512)
    (note,) = check(with_(), large, FACTS)
    parts = int(re.search(r"set train.parts to (\d+) to do so", note)[1])
    assert check(with_(), training(batch=64, window=512, parts=parts), FACTS) == []
    assert check(with_(), training(batch=64, window=512, parts=parts // 2), FACTS) != []
    with pytest.raises(UserError, match="needs about 14.2 GB .* RTX 2080 Ti has 11 GB; set train.parts to 2"):
        check(with_(gpus=2), training(batch=128, window=512), FACTS)


def test_a_model_too_large_for_the_card_is_refused():
    with pytest.raises(UserError, match="too little even for one window at a time; request a larger GPU"):
        check(with_(), FULL, replace(FACTS, model=estimates.Model(900_000_000, 2048, 24, 250_000)))


def test_too_little_memory_of_the_node_is_refused_and_zero_is_all_of_it():
    with pytest.raises(UserError, match="needs about 6.3 GB of memory per node, but memory in .* is 4G"):
        check(with_(memory="4G"), FULL, FACTS)
    assert check(with_(memory="0"), FULL, FACTS) == check(with_(memory="7G"), FULL, FACTS) == []


def test_a_full_disk_is_refused_and_a_remote_that_is_away_is_a_remark():
    with pytest.raises(UserError, match="writes 4.2 GB to /scratch, which has only 1.0 GB free"):
        check(with_(), FULL, replace(FACTS, disks=[Disk("/home", 1, 2), Disk("/scratch", 4_200_000_000, 10**9)]))
    assert check(with_(), FULL, replace(FACTS, remote="DVC's remote is away")) == ["DVC's remote is away"]


def test_the_memory_of_a_card_is_that_of_the_documents_table():
    document = (ROOT / "docs/training.md").read_text()
    table = re.findall(r"^\| (\d+) × (\d+) \| [\d.]+ GB \| [\d.]+ GB \| ([\d.]+) GB", document, re.M)
    assert len(table) == 4
    for batch, window, gigabytes in table:
        size = estimates.card_bytes(BERT, training(batch=int(batch), window=int(window)), 1, half=True)
        assert size / 1e9 == pytest.approx(float(gigabytes), abs=0.06)


@pytest.mark.parametrize(
    "model, batch, window, megabytes",
    [  # peaks of processes that write no checkpoints, docs/measurements.md, not compiled
        (estimates.Model(4_416_698, 128, 2, 30522), 32, 128, 939),
        (estimates.Model(22_700_000, 384, 6, 30522), 32, 128, 1752),
        (BERT, 8, 128, 2855),
    ],
)
def test_the_memory_of_a_node_is_near_what_was_measured(model, batch, window, megabytes):
    size = estimates.host_bytes(model, training(batch=batch, window=window), gpus=0, nodes=1)
    assert 0.8 < (size - 12 * model.parameters) / (megabytes * 1e6) < 1.25


def test_the_work_is_that_of_the_bench():
    text = estimates.Text(100_000, 500)
    ours = estimates.flops(BERT, training(steps=7, batch=8, window=128), text)
    assert ours == pytest.approx(7 * step_flops(BertConfig(), 8, 128, 8 * estimates.picks(FULL)), rel=0.02)


def test_the_model_is_read_from_its_files(model_folder):
    found = estimates.model_in(model_folder)
    torch.manual_seed(0)
    loaded = BertForMaskedLM.from_pretrained(model_folder)
    assert found == estimates.Model(loaded.num_parameters(), 32, 2, 128)


@pytest.mark.parametrize("size", [16, 32, 128])
def test_windows_and_their_files_are_as_estimated(tokens, tmp_path, size):
    text = estimates.Text(int(tokens.offsets[-1]), len(tokens))
    windows = windows_on_disk(tmp_path / "windows-train", tokens, size)
    assert text.windows(size) == pytest.approx(len(windows), rel=0.1)
    state = estimates.state_bytes(estimates.Model(0, 32, 2, 128), training(window=size, keep=[]), text)
    written = sum(file.stat().st_size for file in (tmp_path / "windows-train").iterdir())
    assert 0.8 * written < state + 3 * 128 < 1.7 * written  # three headers of NumPy


def test_facts_come_from_the_repository(tmp_path, model_folder, tokens, special, monkeypatch):
    ground_in(tmp_path, model_folder, tokens, special, {"train.keep": [100, 200]})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAPT_STATE", str(tmp_path / "not/yet"))
    train = config.load().active.train
    facts = preflight.facts_of(["biomed"], train)
    (disk,) = facts.disks  # one file system
    parameters = facts.model.parameters
    assert disk.needed > (3 * 12 + 2 * 4 + 3 * 4) * parameters
    assert disk.where == "the repository" and facts.remote is None
    left = tmp_path / f"not/yet/biomed-{'0' * 16}"
    left.mkdir(parents=True)
    (left / "checkpoint").write_bytes(bytes(10_000))
    assert preflight.facts_of(["biomed"], train).disks[0].needed == disk.needed - 10_000


@pytest.mark.parametrize(
    "gone, message",
    [
        ("models/base", "models/base does not exist; create it with `dvc repro base`"),
        ("data/tokens/biomed", "create it with `dvc repro tokenize@biomed`"),
    ],
)
def test_what_is_not_made_yet_is_named(tmp_path, model_folder, tokens, special, monkeypatch, gone, message):
    ground_in(tmp_path, model_folder, tokens, special, {})
    (tmp_path / gone).rename(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        preflight.look(["biomed"], SETTINGS)
