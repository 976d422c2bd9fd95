import numpy as np
import pytest

from dapt.batches import (IGNORED, fill, fixed_batches, fixed_masks, mask_rows, pack, places_of_step, training_batch,
                          valid_batches, windows, windows_of_step)
from dapt.tokenize import Tokens


@pytest.mark.parametrize("seed", range(5))
def test_packing_fills_no_window_beyond_its_size_and_few_of_them(seed):
    sizes = np.random.default_rng(seed).integers(3, 65, 500)
    window_of = pack(sizes, 64)
    loads = np.bincount(window_of, weights=sizes)
    assert loads.max() <= 64 and loads.min() > 0
    best = int(np.ceil(sizes.sum() / 64))
    assert len(loads) <= best * 11 / 9 + 1  # the known bound of best-fit-decreasing


def test_windows_hold_every_token_of_every_document_once(tokens, special):
    chosen = windows(tokens, 32)
    ids, segments, positions, source = fill(chosen, np.arange(len(chosen)), tokens.ids, special)
    places = source[source >= 0]
    assert np.array_equal(np.sort(places), np.arange(len(tokens.ids)))
    assert np.array_equal(ids[source >= 0], tokens.ids[places])
    assert (ids[segments == 0] == special.pad).all()


def test_each_piece_stands_in_its_window_as_if_alone(tokens, special):
    """[CLS] tokens [SEP], positions from 0, in the order of the document."""
    chosen = windows(tokens, 32)
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


def test_an_epoch_is_a_permutation_and_steps_read_on_without_a_gap():
    seen = np.concatenate([windows_of_step(10, places_of_step(step, 4)[0], seed=3) for step in range(5)])
    assert sorted(seen[:10]) == list(range(10)) and sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) != list(seen[10:])
    assert np.array_equal(windows_of_step(10, np.arange(8, 12), 3), seen[8:12])


@pytest.mark.parametrize("replay", [0.0, 0.1, 0.25, 0.9])
def test_a_share_of_general_windows_is_replayed_and_both_texts_are_read_on_without_a_gap(replay):
    own, general = (np.concatenate(parts) for parts in zip(*(places_of_step(step, 7, replay) for step in range(50))))
    assert np.array_equal(own, np.arange(len(own))) and np.array_equal(general, np.arange(len(general)))
    assert len(own) + len(general) == 50 * 7 and abs(len(general) - 350 * replay) < 1


def test_replayed_rows_are_windows_of_the_general_text(tokens, special):
    chosen = windows(tokens, 32)
    other = Tokens(np.asarray(tokens.ids)[::-1].copy(), tokens.offsets)
    general = windows(other, 32)
    batch = training_batch(tokens, chosen, special, 8, 0.15, 0, 3, None, (other, general), 0.25)
    ids = np.where(batch.ids == special.mask, -1, batch.ids)
    for row, (text, its_windows, place) in enumerate([(tokens, chosen, place) for place in range(18, 24)]
                                                     + [(other, general, place) for place in range(6, 8)]):
        rows = windows_of_step(len(its_windows), np.array([place]), 0)
        expected = fill(its_windows, rows, text.ids, special)[0][0]
        kept = np.ones(32, bool)
        kept[batch.picks[row]] = False
        assert np.array_equal(ids[row][kept], expected[kept])


def test_a_batch_is_a_function_of_seed_and_step(tokens, special):
    chosen = windows(tokens, 32)
    make = lambda seed, step: training_batch(tokens, chosen, special, 8, 0.15, seed, step)
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
    chosen = windows(tokens, 32)
    batch = training_batch(tokens, chosen, special, 16, 0.15, 0, 0)
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


def test_fixed_batches_ask_for_every_masked_token_once_and_name_its_document(tokens, special):
    keys = np.arange(len(tokens)).astype(np.uint64)
    shown, predicted = fixed_masks(tokens, keys, 0.15, special, seed=0)
    chosen = windows(tokens, 32)
    found = list(fixed_batches(tokens, chosen, np.arange(len(chosen)), shown, predicted, special, 8))
    documents = np.concatenate([documents[documents >= 0] for _, documents in found])
    labels = np.concatenate([batch.labels[batch.labels != IGNORED] for batch, _ in found])
    document_of = np.repeat(np.arange(len(tokens)), np.diff(tokens.offsets))
    assert np.array_equal(np.sort(documents), np.sort(document_of[predicted]))
    assert np.array_equal(np.sort(labels), np.sort(tokens.ids[predicted]))


def test_validation_windows_are_spread_over_the_whole_set(tokens, special):
    chosen = windows(tokens, 32)
    found = valid_batches(tokens, special, 32, batch=4, most=9, rate=0.15)
    assert sum(len(batch.ids) for batch in found) == 9
    segments = np.concatenate([batch.segments.max(1) for batch in found])
    assert segments.min() < segments.max()  # long pieces alone, and short ones together
    assert sum(len(batch.ids) for batch in valid_batches(tokens, special, 32, 4, 10**6, 0.15)) == len(chosen)


def test_whole_words_are_predicted_whole_and_at_about_the_rate(tokens, special):
    chosen = windows(tokens, 64)
    chance = np.random.default_rng(3)
    goes_on = chance.random(special.vocabulary) < 0.4
    predicted, text = 0, 0
    for step in range(40):
        batch = training_batch(tokens, chosen, special, 4, 0.15, 0, step, goes_on)
        plain = training_batch(tokens, chosen, special, 4, 0.15, 0, step)
        original = plain.ids.copy()
        np.put_along_axis(original, plain.picks, np.where(plain.labels >= 0, plain.labels, np.take_along_axis(
            original, plain.picks, axis=1)), axis=1)
        for row in range(4):
            inside = (batch.positions[row] > 0) & (original[row] != special.sep) & (batch.segments[row] > 0)
            words, word = [], []
            for slot in range(64):  # words told by a plain walk along the row
                if inside[slot] and goes_on[original[row, slot]] and inside[slot - 1] and word:
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
