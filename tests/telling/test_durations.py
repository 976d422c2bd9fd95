import doctest

import pytest

from dapt.core.files import write_json, write_lines
from dapt.telling import durations


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_words():
    assert doctest.testmod(durations) == (0, 1)


def test_the_starts_of_a_training_are_summed_up_to_the_model_that_it_made():
    write_lines(
        durations.log("law"),
        [
            {"seconds": seconds, "model_sha256": made}
            for seconds, made in [(5, None), (10, "aa"), (1, None), (2, None), (4, "bb"), (100, None)]
        ],
    )
    assert [durations.seconds("law", made) for made in ("aa", "bb", "cc")] == [15, 7, None]
    assert durations.seconds("biomed", "aa") is None


def test_a_start_that_fails_is_noted_without_a_model():
    write_json(durations.METRICS / "train/law.json", {"model_sha256": "of an older run"})
    with pytest.raises(SystemExit), durations.noted("law"):
        raise SystemExit(75)
    assert durations.seconds("law", "of an older run") is None
    with durations.noted("law"):
        write_json(durations.METRICS / "train/law.json", {"model_sha256": "new"})
    assert durations.seconds("law", "new") >= 0
