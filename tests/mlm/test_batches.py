from math import factorial

import numpy as np
import pytest
from scipy import stats

from dapt.mlm import batches, windows
from dapt.mlm.batches import Replay, TrainingBatches, fixed_batches, valid_batches
from dapt.mlm.masks import IGNORED, fixed_masks, mask_rows
from dapt.mlm.order import places_of_step, splitmix64, windows_of_step
from dapt.mlm.tokens import Tokens
from dapt.mlm.windows import COLUMNS, TrainingText, fill, pack, windows_in_memory, windows_on_disk


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
    monkeypatch.setattr(batches, "CHUNK", len(tokens.ids) // 3 + size)
    chosen = windows_on_disk(tmp_path / "windows", tokens, size)
    assert_every_token_is_there_once(tokens, chosen)
    assert padding(chosen) < 0.02


@pytest.mark.parametrize("kind", ["tweets", "articles", "one text", "empty ones between"])
def test_chunks_change_no_piece(monkeypatch, kind):
    """A document is cut at the same places wherever a chunk begins; in memory none that fits a window is cut."""
    tokens = of_lengths(TEXTS[kind])
    monkeypatch.setattr(batches, "CHUNK", 10**7)
    whole = windows_in_memory(tokens, 128)
    monkeypatch.setattr(batches, "CHUNK", 9999)
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


def test_numbers_are_those_of_splitmix64():
    """The first outputs for the seed 1234567, as published with its C code, from another language's translation."""
    numbers = splitmix64(np.array([1234567], np.uint64), np.arange(5, dtype=np.uint64))
    assert numbers.tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def epochs(count: int, number: int, seed: int = 0) -> np.ndarray:
    return windows_of_step(count, np.arange(count * number), seed).reshape(number, count)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 16, 17, 64, 1000, 12345, 65536])
def test_an_epoch_is_a_permutation(count):
    found = epochs(count, 3)
    assert (np.sort(found, axis=1) == np.arange(count)).all()
    if count >= 64:
        assert not (found[0] == found[1]).all() and not (found[0] == epochs(count, 1, seed=1)[0]).all()


def test_places_are_read_pointwise_and_over_the_end_of_an_epoch():
    whole = epochs(10, 4, seed=3).ravel()
    places = np.array([17, 3, 39, 3, 10])
    assert np.array_equal(windows_of_step(10, places, 3), whole[places])
    assert np.array_equal(windows_of_step(10, np.arange(8, 12), 3), whole[8:12])


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_every_order_of_a_few_windows_is_as_likely(count):
    orders = np.unique(epochs(count, 200 * factorial(count)), axis=0, return_counts=True)[1]
    assert len(orders) == factorial(count) and stats.chisquare(orders).pvalue > 1e-3


@pytest.mark.parametrize("count", [7, 16, 61, 64])
def test_a_window_is_as_likely_at_every_place(count):
    by_epoch = epochs(count, 3000)
    by_seed = np.stack([epochs(count, 1, seed)[0] for seed in range(3000)])
    for found in (by_epoch, by_seed):
        values = [stats.chisquare(np.bincount(column, minlength=count)).pvalue for column in found.T]
        assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_an_order_is_as_random_as_numpys():
    """Neighbours, places and windows, and two epochs don't go together; as few windows stay in place."""
    count = 50021
    ours, numpys = epochs(count, 2), [np.random.default_rng(seed).permutation(count) for seed in range(2)]
    for one, other in (ours, numpys):
        pairs = [
            (one[:-1], one[1:]),
            (one[:-2], one[2:]),
            (np.arange(count), one),
            (one, other),
            (one % 224, other % 224),
        ]  # 224: the width of the network
        assert all(abs(stats.spearmanr(*pair).statistic) < 4 / np.sqrt(count) for pair in pairs)
        assert (one == np.arange(count)).sum() < 8 and (one == other).sum() < 8  # Poisson of mean 1
        steps = np.diff(one) % count  # uniform over 1 … count - 1
        assert stats.kstest(steps / count, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("replay", [0.0, 0.1, 0.25, 0.9])
def test_a_share_of_general_windows_is_replayed_and_both_texts_are_read_on_without_a_gap(replay):
    own, general = (np.concatenate(parts) for parts in zip(*(places_of_step(step, 7, replay) for step in range(50))))
    assert np.array_equal(own, np.arange(len(own))) and np.array_equal(general, np.arange(len(general)))
    assert len(own) + len(general) == 50 * 7 and abs(len(general) - 350 * replay) < 1


def test_replayed_rows_are_windows_of_the_general_text(tokens, special):
    chosen = windows_in_memory(tokens, 32)
    other = Tokens(np.asarray(tokens.ids)[::-1].copy(), tokens.offsets)
    general = windows_in_memory(other, 32)
    batch = TrainingBatches(
        TrainingText(tokens, chosen, special), 8, 0.15, 0, None, Replay(TrainingText(other, general, special), 0.25)
    )(3)
    ids = np.where(batch.ids == special.mask, -1, batch.ids)
    for row, (text, its_windows, place) in enumerate(
        [(tokens, chosen, place) for place in range(18, 24)] + [(other, general, place) for place in range(6, 8)]
    ):
        rows = windows_of_step(len(its_windows), np.array([place]), 0)
        expected = fill(its_windows, rows, text.ids, special)[0][0]
        kept = np.ones(32, bool)
        kept[batch.picks[row]] = False
        assert np.array_equal(ids[row][kept], expected[kept])


def test_a_batch_is_a_function_of_seed_and_step(tokens, special):
    chosen = windows_in_memory(tokens, 32)
    make = lambda seed, step: TrainingBatches(TrainingText(tokens, chosen, special), 8, 0.15, seed)(step)
    for name in ("ids", "segments", "positions", "picks", "labels"):
        assert np.array_equal(getattr(make(0, 7), name), getattr(make(0, 7), name))
    assert not np.array_equal(make(0, 7).ids, make(0, 8).ids)
    assert not np.array_equal(make(0, 7).ids, make(1, 7).ids)


def test_masks_are_berts(special):
    """15 % of the text, of which 80 % [MASK], 10 % random, 10 % unchanged; never a special token."""
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 120, (2000, 40))
    text = rng.random(ids.shape) < 0.7
    masked, picks, labels = mask_rows(ids, text, 0.15, special, np.random.default_rng(1))
    used = labels != IGNORED
    rows = np.nonzero(used)[0]
    assert text[rows, picks[used]].all()
    assert np.array_equal(labels[used], ids[rows, picks[used]])
    untouched = np.ones(ids.shape, bool)
    untouched[rows, picks[used]] = False
    assert np.array_equal(masked[untouched], ids[untouched])
    assert used.sum() / text.sum() == pytest.approx(0.15, abs=0.003)
    shown = masked[rows, picks[used]]
    assert (shown == special.mask).mean() == pytest.approx(0.8, abs=0.02)
    assert (shown == labels[used]).mean() == pytest.approx(0.1, abs=0.02)


def test_every_row_predicts_its_share_rounded_up_or_down(tokens, special):
    chosen = windows_in_memory(tokens, 32)
    batch = TrainingBatches(TrainingText(tokens, chosen, special), 16, 0.15, 0)(0)
    _, _, _, source = fill(chosen, windows_of_step(len(chosen), np.arange(16), 0), tokens.ids, special)
    share = (source >= 0).sum(1) * 0.15
    count = (batch.labels != IGNORED).sum(1)
    assert ((count == np.floor(share)) | (count == np.ceil(share))).all()
    assert batch.picks.shape == (16, int(30 * 0.15) + 1)


def test_fixed_masks_do_not_depend_on_the_rest_of_the_set(tokens, special):
    keys = np.arange(1000, 1000 + len(tokens)).astype(np.uint64)
    shown, predicted = fixed_masks(tokens, keys, 0.15, special, seed=4)
    half = len(tokens) // 2
    start = tokens.offsets[half]
    later = Tokens(tokens.ids[start:], tokens.offsets[half:] - start)
    shown_later, predicted_later = fixed_masks(later, keys[half:], 0.15, special, seed=4)
    assert np.array_equal(shown[start:], shown_later) and np.array_equal(predicted[start:], predicted_later)
    other, _ = fixed_masks(tokens, keys, 0.15, special, seed=5)
    assert not np.array_equal(shown, other)


def test_fixed_batches_ask_for_every_masked_token_once_and_name_its_place(tokens, special):
    keys = np.arange(len(tokens)).astype(np.uint64)
    shown, predicted = fixed_masks(tokens, keys, 0.15, special, seed=0)
    chosen = windows_in_memory(tokens, 32)
    found = list(fixed_batches(TrainingText(tokens, chosen, special), shown, predicted, 8))
    places = np.concatenate([places[places >= 0] for _, places in found])
    labels = np.concatenate([batch.labels[batch.labels != IGNORED] for batch, _ in found])
    assert np.array_equal(np.sort(places), np.flatnonzero(predicted))
    assert np.array_equal(labels, tokens.ids[places])


def test_validation_windows_are_spread_over_the_whole_set(tokens, special):
    chosen = windows_in_memory(tokens, 32)
    found = valid_batches(TrainingText(tokens, chosen, special), 4, most=9, rate=0.15)
    assert sum(len(batch.ids) for batch in found) == 9
    segments = np.concatenate([batch.segments.max(1) for batch in found])
    assert segments.min() < segments.max()  # long pieces alone, and short ones together
    assert sum(len(batch.ids) for batch in valid_batches(TrainingText(tokens, chosen, special), 4, 10**6, 0.15)) == len(
        chosen
    )


def test_validation_masks_are_the_same_at_every_look_and_in_every_batch_size(tokens, special):
    chosen = windows_in_memory(tokens, 32)
    small, large = (valid_batches(TrainingText(tokens, chosen, special), batch, 20, 0.15) for batch in (3, 20))
    for name in ("ids", "picks", "labels"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in small]), getattr(large[0], name))


def test_whole_words_are_predicted_whole_and_at_about_the_rate(tokens, special):
    chosen = windows_in_memory(tokens, 64)
    chance = np.random.default_rng(3)
    continues = chance.random(special.vocabulary) < 0.4
    predicted, text = 0, 0
    for step in range(40):
        batch = TrainingBatches(TrainingText(tokens, chosen, special), 4, 0.15, 0, continues)(step)
        plain = TrainingBatches(TrainingText(tokens, chosen, special), 4, 0.15, 0)(step)
        original = plain.ids.copy()
        np.put_along_axis(
            original,
            plain.picks,
            np.where(plain.labels >= 0, plain.labels, np.take_along_axis(original, plain.picks, axis=1)),
            axis=1,
        )
        for row in range(4):
            inside = (batch.positions[row] > 0) & (original[row] != special.sep) & (batch.segments[row] > 0)
            words, word = [], []
            for slot in range(64):  # words told by a plain walk along the row
                if inside[slot] and continues[original[row, slot]] and inside[slot - 1] and word:
                    word.append(slot)
                    continue
                words.append(word)
                word = [slot] if inside[slot] else []
            words = [set(word) for word in [*words, word] if word]
            used = set(batch.picks[row][batch.labels[row] >= 0].tolist())
            assert all(word <= used or not word & used for word in words)
            assert used <= set().union(*words)
            predicted, text = predicted + len(used), text + int(inside.sum())
    assert 0.12 < predicted / text < 0.15
