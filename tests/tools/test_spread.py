"""The seeds of a domain as real experiments, in a clone of a finished repository."""

import json
import statistics

import pytest

from dapt.tools.spread import spread
from repositories import committed_files, run


def test_mean_and_standard_deviation_over_seeds():
    found = spread([{"a": {"loss": loss}} for loss in (1.0, 2.0, 4.5)], ["a"])["a"]
    assert found == {"each": [1.0, 2.0, 4.5], "mean": 2.5, "sd": 1.8028}


@pytest.mark.slow
def test_two_seeds_are_trained_and_judged_and_the_workspace_stays_as_it_is(clone):
    before = (clone / "models/biomed/model.safetensors").read_bytes()
    output = run(clone, "dapt", "spread", "biomed", "--seeds", "2", "--json")
    result = json.loads(output.strip().splitlines()[-1])
    assert not run(clone, "git", "status", "--porcelain")
    assert (clone / "models/biomed/model.safetensors").read_bytes() == before
    assert result["seeds"] == [0, 1] and result["domain"] == "biomed"
    for held_out, of in result["loss"].items():
        own = json.loads((clone / "metrics/eval/biomed.json").read_text())[held_out]["loss"]
        assert of["each"][0] == own != of["each"][1]
        assert (of["mean"], of["sd"]) == pytest.approx(
            (statistics.mean(of["each"]), statistics.stdev(of["each"])), abs=1e-4
        )
    assert "Running stage 'train@biomed'" in output and "Running stage 'train@finance'" not in output
    again = run(clone, "dapt", "spread", "biomed", "--seeds", "2")
    assert "Running stage 'train@biomed'" not in again
    assert f"| {result['loss']['biomed']['mean']:.4f} |" in again


def test_a_folder_without_git_is_refused_in_a_line(tmp_path):
    committed_files(tmp_path, "params.yaml", "profiles", "dvc.yaml")
    [line] = run(tmp_path, "dapt", "spread", "biomed", code=2).splitlines()
    assert line.startswith("dapt spread: git for-each-ref failed (fatal: not a git repository")


def test_one_seed_and_an_unknown_domain_are_refused(finished):
    assert "dapt spread: --seeds is 1; it must be at least 2" in run(
        finished, "dapt", "spread", "biomed", "--seeds", "1", code=2
    )
    assert "has no domain 'law'" in run(finished, "dapt", "spread", "law", code=2)
