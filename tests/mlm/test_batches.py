"""Batches: pure functions of the text, the seed and the step."""

import numpy as np
import pytest

from dapt.mlm.batches import Replay, TrainingBatches, fixed_batches, valid_batches
from dapt.mlm.masks import IGNORED, fixed_masks
from dapt.mlm.order import windows_of_step
from dapt.mlm.tokens import Tokens
from dapt.mlm.windows import fill, text_in_memory


def test_replayed_rows_are_windows_of_the_general_text(tokens, special):
    text = text_in_memory(tokens, 32, special)
    general = text_in_memory(Tokens(np.asarray(tokens.ids)[::-1].copy(), tokens.offsets), 32, special)
    batch = TrainingBatches(text, 8, 0.15, 0, None, Replay(general, 0.25))(3)
    ids = np.where(batch.ids == special.mask, -1, batch.ids)
    for row, (of, place) in enumerate(
        [(text, place) for place in range(18, 24)] + [(general, place) for place in range(6, 8)]
    ):
        rows = windows_of_step(len(of.windows), np.array([place]), 0)
        expected = fill(of.windows, rows, of.tokens.ids, special)[0][0]
        kept = np.ones(32, bool)
        kept[batch.picks[row]] = False
        assert np.array_equal(ids[row][kept], expected[kept])


def test_a_batch_is_a_function_of_seed_and_step(tokens, special):
    text = text_in_memory(tokens, 32, special)
    make = lambda seed, step: TrainingBatches(text, 8, 0.15, seed)(step)
    for name in ("ids", "segments", "positions", "picks", "labels"):
        assert np.array_equal(getattr(make(0, 7), name), getattr(make(0, 7), name))
    assert not np.array_equal(make(0, 7).ids, make(0, 8).ids)
    assert not np.array_equal(make(0, 7).ids, make(1, 7).ids)


def test_every_row_predicts_its_share_rounded_up_or_down(tokens, special):
    text = text_in_memory(tokens, 32, special)
    batch = TrainingBatches(text, 16, 0.15, 0)(0)
    _, _, _, source = text.fill(windows_of_step(len(text.windows), np.arange(16), 0))
    share = (source >= 0).sum(1) * 0.15
    count = (batch.labels != IGNORED).sum(1)
    assert ((count == np.floor(share)) | (count == np.ceil(share))).all()
    assert batch.picks.shape == (16, int(30 * 0.15) + 1)


def test_fixed_batches_ask_for_every_masked_token_once_and_name_its_place(tokens, special):
    keys = np.arange(len(tokens)).astype(np.uint64)
    shown, predicted = fixed_masks(tokens, keys, 0.15, special, seed=0)
    text = text_in_memory(tokens, 32, special)
    found = list(fixed_batches(text, shown, predicted, 8))
    places = np.concatenate([places[places >= 0] for _, places in found])
    labels = np.concatenate([batch.labels[batch.labels != IGNORED] for batch, _ in found])
    assert np.array_equal(np.sort(places), np.flatnonzero(predicted))
    assert np.array_equal(labels, tokens.ids[places])


def test_validation_windows_are_spread_over_the_whole_set(tokens, special):
    text = text_in_memory(tokens, 32, special)
    found = valid_batches(text, 4, most=9, rate=0.15)
    assert sum(len(batch.ids) for batch in found) == 9
    segments = np.concatenate([batch.segments.max(1) for batch in found])
    assert segments.min() < segments.max()  # long pieces alone, and short ones together
    assert sum(len(batch.ids) for batch in valid_batches(text, 4, 10**6, 0.15)) == len(text.windows)


def test_validation_masks_are_the_same_at_every_look_and_in_every_batch_size(tokens, special):
    text = text_in_memory(tokens, 32, special)
    small, large = (valid_batches(text, batch, 20, 0.15) for batch in (3, 20))
    for name in ("ids", "picks", "labels"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in small]), getattr(large[0], name))


def test_whole_words_are_predicted_whole_and_at_about_the_rate(tokens, special):
    text_of_64 = text_in_memory(tokens, 64, special)
    chance = np.random.default_rng(3)
    continues = chance.random(special.vocabulary) < 0.4
    predicted, text = 0, 0
    for step in range(40):
        batch = TrainingBatches(text_of_64, 4, 0.15, 0, continues)(step)
        plain = TrainingBatches(text_of_64, 4, 0.15, 0)(step)
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


def test_no_unknown_or_special_token_of_a_text_is_ever_predicted(tokens, special):
    """Neither in training nor for the loss on valid; the others are, as often as ever."""
    rng = np.random.default_rng(0)
    ids = np.array(tokens.ids)
    strange = rng.choice(special.never, len(ids))
    ids = np.where(rng.random(len(ids)) < 0.3, strange, ids)
    text = text_in_memory(Tokens(ids, tokens.offsets), 32, special)
    for batches in (
        [TrainingBatches(text, 16, 0.15, 0)(step) for step in range(20)],
        valid_batches(text, 16, 99, 0.15),
    ):
        labels = np.concatenate([batch.labels[batch.labels != IGNORED] for batch in batches])
        known = sum(int((special.known(batch.ids) | (batch.ids == special.mask)).sum()) for batch in batches)
        assert len(labels) and special.known(labels).all()
        assert len(labels) / known == pytest.approx(0.15, abs=0.04)
