"""Documents in windows: packed, cut, padded, in memory and on disk."""

import numpy as np
import pytest

from dapt.mlm import windows
from dapt.mlm.tokens import Tokens
from dapt.mlm.windows import COLUMNS, fill, pack, windows_in_memory, windows_on_disk


@pytest.mark.parametrize("seed", range(5))
def test_packing_fills_no_window_beyond_its_size_and_few_of_them(seed):
    sizes = np.random.default_rng(seed).integers(3, 65, 500)
    window_of = pack(sizes, 64)
    loads = np.bincount(window_of, weights=sizes)
    assert loads.max() <= 64 and loads.min() > 0
    best = int(np.ceil(sizes.sum() / 64))
    assert len(loads) <= best * 11 / 9 + 1  # the known bound of best-fit-decreasing


def test_windows_hold_every_token_of_every_document_once(tokens, special):
    chosen = windows_in_memory(tokens, 32)
    ids, segments, positions, source = fill(chosen, np.arange(len(chosen)), tokens.ids, special)
    places = source[source >= 0]
    assert np.array_equal(np.sort(places), np.arange(len(tokens.ids)))
    assert np.array_equal(ids[source >= 0], tokens.ids[places])
    assert (ids[segments == 0] == special.pad).all()


def test_each_piece_stands_in_its_window_as_if_alone(tokens, special):
    """[CLS] tokens [SEP], positions from 0, in the order of the document."""
    chosen = windows_in_memory(tokens, 32)
    ids, segments, positions, source = fill(chosen, np.arange(len(chosen)), tokens.ids, special)
    pieces = 0
    for row in range(len(chosen)):
        for segment in range(1, segments[row].max() + 1):
            at = np.flatnonzero(segments[row] == segment)
            assert np.array_equal(at, np.arange(at[0], at[0] + len(at)))
            assert ids[row, at[0]] == special.cls and ids[row, at[-1]] == special.sep
            assert np.array_equal(positions[row, at], np.arange(len(at)))
            inside = source[row, at[1:-1]]
            assert np.array_equal(inside, np.arange(inside[0], inside[0] + len(inside)))
            pieces += 1
    assert pieces == len(chosen.lengths)


def of_lengths(lengths: np.ndarray) -> Tokens:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens((np.arange(offsets[-1]) % 100 + 10).astype(np.uint16), offsets)


def padding(chosen: windows.Windows) -> float:
    return 1 - float((chosen.lengths + 2).sum()) / (len(chosen) * chosen.size)


def assert_every_token_is_there_once(tokens: Tokens, chosen: windows.Windows) -> None:
    """The pieces lie end to end over the ids, none in two documents; no window is empty or too full."""
    order = np.argsort(chosen.starts)
    starts, stops = chosen.starts[order], (chosen.starts + chosen.lengths)[order]
    assert starts[0] == 0 and stops[-1] == len(tokens.ids) and np.array_equal(starts[1:], stops[:-1])
    first, last = (np.searchsorted(tokens.offsets, places, "right") for places in (starts, stops - 1))
    assert np.array_equal(first, last)
    assert chosen.bounds[0] == 0 and chosen.bounds[-1] == len(starts)
    slots = np.add.reduceat(chosen.lengths + 2, chosen.bounds[:-1])
    assert (np.diff(chosen.bounds) > 0).all() and slots.max() <= chosen.size


CHANCE = np.random.default_rng(7)


TEXTS = {
    "tweets": CHANCE.integers(3, 40, 20000),
    "sentences": CHANCE.lognormal(3.3, 0.5, 20000).astype(int) + 1,
    "abstracts": np.clip(CHANCE.normal(357, 120, 5000), 20, None).astype(int),
    "articles": CHANCE.integers(5, 4000, 800),
    "somewhat more than half a window": CHANCE.integers(70, 100, 10000),
    "all of 80 tokens": np.full(10000, 80),
    "all but a window": np.full(10000, 119),
    "single tokens": np.ones(10**5, int),
    "one text": np.array([10**6]),
    "empty ones between": np.repeat([0, 57, 0, 300], 1000),
}


@pytest.mark.parametrize("size", [128, 512])
@pytest.mark.parametrize("kind", TEXTS)
def test_windows_for_training_lose_no_token_and_have_less_than_2_percent_padding(tmp_path, monkeypatch, kind, size):
    tokens = of_lengths(TEXTS[kind])
    monkeypatch.setattr(windows, "CHUNK", len(tokens.ids) // 3 + size)
    chosen = windows_on_disk(tmp_path / "windows", tokens, size)
    assert_every_token_is_there_once(tokens, chosen)
    assert padding(chosen) < 0.02


@pytest.mark.parametrize("kind", ["tweets", "articles", "one text", "empty ones between"])
def test_chunks_change_no_piece(monkeypatch, kind):
    """A document is cut at the same places wherever a chunk begins; in memory none that fits a window is cut."""
    tokens = of_lengths(TEXTS[kind])
    monkeypatch.setattr(windows, "CHUNK", 10**7)
    whole = windows_in_memory(tokens, 128)
    monkeypatch.setattr(windows, "CHUNK", 9999)
    chunked = windows_in_memory(tokens, 128)
    for chosen in (whole, chunked):
        assert_every_token_is_there_once(tokens, chosen)
    edges = tokens.offsets.tolist()
    expected = [
        (start, min(126, stop - start)) for begin, stop in zip(edges, edges[1:]) for start in range(begin, stop, 126)
    ]
    for chosen in (whole, chunked):
        assert sorted(zip(chosen.starts.tolist(), chosen.lengths.tolist())) == expected
    assert abs(len(chunked) - len(whole)) <= len(tokens.ids) / 9999 + 1


def test_windows_on_disk_are_mapped_those_of_memory_and_made_once(tmp_path):
    tokens = of_lengths(TEXTS["tweets"])  # they pack well, so that none is cut
    in_memory, on_disk = windows_in_memory(tokens, 128), windows_on_disk(tmp_path / "windows", tokens, 128)
    for name in COLUMNS:
        assert isinstance(getattr(on_disk, name), np.memmap)
        assert np.array_equal(getattr(on_disk, name), getattr(in_memory, name))
    made = {path: path.stat().st_ino for path in (tmp_path / "windows").iterdir()}
    assert np.array_equal(windows_on_disk(tmp_path / "windows", tokens, 128).starts, on_disk.starts)
    assert made == {path: path.stat().st_ino for path in (tmp_path / "windows").iterdir()}


def test_no_documents_are_no_windows(tmp_path):
    for chosen in (
        windows_in_memory(of_lengths(np.zeros(3, int)), 32),
        windows_on_disk(tmp_path / "w", of_lengths([]), 32),
    ):
        assert len(chosen) == 0 and len(chosen.starts) == 0
