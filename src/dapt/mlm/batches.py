"""Documents → windows → batches and their masks: pure functions of the tokens, the seed and the step.

Short documents share a window: packed best-fit-decreasing (Johnson 1974), each with its own [CLS] and [SEP], position
ids that restart and a segment number that attention stays within. A document longer than a window is cut into pieces;
no token is lost. Texts are packed CHUNK tokens at a time and read in an order that is computed place by place, so that
memory does not grow with the corpus.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np

from dapt.core.files import whole_folder
from dapt.mlm.tokens import Special, Tokens, growing_array

IGNORED = -100  # a label that counts for nothing, as in torch's cross_entropy
CHUNK = 1 << 20  # tokens packed at once: a few ten thousand pieces
PADDING = 0.01  # of windows for training: more than this is filled with pieces cut for it
ROUNDS = 20  # of the Feistel network that orders an epoch: fewer are not enough for five windows
COLUMNS = ("starts", "lengths", "bounds")  # of Windows


@dataclass(frozen=True)
class Windows:
    """Pieces of documents in the order of the windows they share.

    starts, lengths: int64 [pieces], where each lies in the ids; bounds: int64 [windows + 1], the pieces of window w are
    bounds[w]:bounds[w + 1]; size: tokens a window.
    """

    starts: np.ndarray
    lengths: np.ndarray
    bounds: np.ndarray
    size: int

    def __len__(self) -> int:
        return len(self.bounds) - 1


@dataclass(frozen=True)
class Batch:
    """ids, segments (0: padding), positions: int64 [rows, size]; picks: the columns predicted, int64 [rows, K];
    labels: the tokens there, int64 [rows, K], IGNORED where a row predicts fewer than K."""

    ids: np.ndarray
    segments: np.ndarray
    positions: np.ndarray
    picks: np.ndarray
    labels: np.ndarray

    def rows(self, start: int, stop: int) -> "Batch":
        return Batch(*(getattr(self, name)[start:stop] for name in self.__dataclass_fields__))


def pack(sizes: np.ndarray, capacity: int) -> np.ndarray:
    """The window of each item: the largest first, each into the open window with the least room that it fits.

    >>> pack(np.array([3, 5, 4, 2]), 7).tolist()
    [1, 0, 1, 0]
    """
    window_of = np.empty(len(sizes), np.int64)
    order, windows = np.argsort(-sizes, kind="stable"), int((sizes == capacity).sum())
    window_of[order[:windows]] = np.arange(windows)  # those that fill a window are the first
    open_windows: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = 0  # bit r: a window with r free slots is open
    for item in order[windows:].tolist():
        size = int(sizes[item])
        fitting = rooms >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1
            window = open_windows[room].pop()
            if not open_windows[room]:
                rooms &= ~(1 << room)
        else:
            room, window, windows = capacity, windows, windows + 1
        window_of[item] = window
        if left := room - size:
            open_windows[left].append(window)
            rooms |= 1 << left
    return window_of


def cut_to_fill(starts: np.ndarray, lengths: np.ndarray, window_of: np.ndarray, size: int):
    """Pieces and their windows with little padding: the fullest windows stay, as many as have PADDING together; the
    pieces of the others are laid one behind the other and cut where a window ends.

    Where all documents are somewhat longer than half a window, no packing of whole ones does without this. Each window
    that is laid anew, but the last, has a gap of `least` slots at most: 1.6 % from 128 slots on.
    """
    rooms = size - np.bincount(window_of, lengths + 2)
    fullest = np.argsort(rooms, kind="stable")
    stays = np.zeros(len(rooms), bool)
    stays[fullest[np.cumsum(rooms[fullest]) <= PADDING * size * np.arange(1, len(rooms) + 1)]] = True
    stays = stays[window_of]
    laid, window, room, least = [], len(rooms), size, max(2, size // 64)
    for start, length in zip(starts[~stays].tolist(), lengths[~stays].tolist()):
        while length:
            if room < length + 2 and room <= least:
                window, room = window + 1, size
            taken = min(length, room - 2)
            laid.append((start, taken, window))
            start, length, room = start + taken, length - taken, room - taken - 2
    new = np.array(laid, np.int64).reshape(-1, 3).T
    starts, lengths, window_of = (np.concatenate([old[stays], more])
                                  for old, more in zip((starts, lengths, window_of), new))
    return starts, lengths, np.unique(window_of, return_inverse=True)[1]


def _chunks(offsets: np.ndarray, longest: int) -> Iterator[tuple[int, int]]:
    """Where about CHUNK tokens begin and end; each begins where a piece of a document does."""
    begin, end = 0, int(offsets[-1])
    while begin < end:
        stop = min(begin + CHUNK, end)
        if stop < end:
            document = int(offsets[np.searchsorted(offsets, stop, "right") - 1])
            stop = document + (stop - document) // longest * longest
        yield begin, stop
        begin = stop


def packed(tokens: Tokens, size: int, cut: bool) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The COLUMNS of Windows, a chunk at a time."""
    longest, before = size - 2, 0
    yield np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64)
    for begin, stop in _chunks(tokens.offsets, longest):
        first = np.searchsorted(tokens.offsets, begin, "right") - 1
        last = np.searchsorted(tokens.offsets, stop, "left")
        edges = np.clip(tokens.offsets[first:last + 1], begin, stop)
        pieces = -(-np.diff(edges) // longest)
        number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts = np.repeat(edges[:-1], pieces) + number * longest
        lengths = np.minimum(np.repeat(edges[1:], pieces) - starts, longest)
        window_of = pack(lengths + 2, size)
        if cut:
            starts, lengths, window_of = cut_to_fill(starts, lengths, window_of, size)
        order = np.argsort(window_of, kind="stable")
        yield starts[order], lengths[order], before + np.cumsum(np.bincount(window_of))
        before += len(order)


def windows(tokens: Tokens, size: int) -> Windows:
    """All documents in windows of `size` tokens, [CLS] and [SEP] of each piece included, in memory; one that fits a
    window is not cut."""
    return Windows(*map(np.concatenate, zip(*packed(tokens, size, cut=False))), size)


def windows_on_disk(folder: Path, tokens: Tokens, size: int) -> Windows:
    """Windows for training, memory-mapped: files of `folder`, which are made where they are not there, whole or not at
    all. Less than 2 % is padding (cut_to_fill) in a corpus of some hundred windows or more."""
    if not folder.is_dir():
        with whole_folder(folder) as temporary, ExitStack() as stack:
            appends = [stack.enter_context(growing_array(temporary / f"{name}.npy")) for name in COLUMNS]
            for chunk in packed(tokens, size, cut=True):
                for append, values in zip(appends, chunk):
                    append(values)
    return Windows(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in COLUMNS), size)


def fill(chosen: Windows, rows: np.ndarray, ids: np.ndarray, special: Special):
    """The windows `rows` as arrays [rows, size]: ids, segments, positions, and source, the place of each token in
    `ids`, -1 at [CLS], [SEP] and padding."""
    counts = chosen.bounds[rows + 1] - chosen.bounds[rows]
    pieces = np.repeat(chosen.bounds[rows] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    taken = chosen.lengths[pieces] + 2
    row = np.repeat(np.arange(len(rows)), counts)
    before = np.cumsum(taken) - taken  # slots before this piece, over all rows
    first_of_row = before[np.cumsum(counts) - counts]
    begin = row * chosen.size + before - first_of_row[row]
    within = np.arange(taken.sum()) - np.repeat(before, taken)  # 0 at [CLS]
    slots = np.repeat(begin, taken) + within
    shape = len(rows) * chosen.size
    segments, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    source, filled = np.full(shape, -1, np.int64), np.full(shape, special.pad, np.int64)
    segments[slots] = np.repeat(np.arange(len(pieces)) - (np.cumsum(counts) - counts)[row] + 1, taken)
    positions[slots] = within
    text = (within > 0) & (within <= np.repeat(taken - 2, taken))
    source[slots[text]] = (np.repeat(chosen.starts[pieces], taken) + within - 1)[text]
    filled[begin] = special.cls
    filled[begin + taken - 1] = special.sep
    at = source >= 0
    filled[at] = ids[source[at]]
    return tuple(array.reshape(len(rows), chosen.size) for array in (filled, segments, positions, source))


def splitmix64(seed: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The outputs `number`, from 0 on, of the generators that begin at `seed` (Steele et al. 2014); uint64 arrays."""
    mixed = seed + (number + 1) * 0x9E3779B97F4A7C15
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB
    return mixed ^ mixed >> 31


def _permuted(numbers: np.ndarray, count: int, keys: np.ndarray) -> np.ndarray:
    """Where the permutation of range(count) with the key of each number takes it; uint64 arrays.

    A generalized Feistel network on the a × b numbers that are `count` or a few more, gone through again from where it
    leaves the range (Black & Rogaway 2002, cycle-walking). The round function is splitmix64. Where a = b is odd,
    only even permutations of the a × b numbers come up: half of them.
    """
    a = isqrt(count - 1) + 1
    b = -(-count // a)
    left, right = numbers % a, numbers // a
    for turn in range(ROUNDS):
        modulus = b if turn % 2 else a
        left, right = right, (left + splitmix64(keys, right * ROUNDS + turn) % modulus) % modulus
    found = left + right * a
    outside = found >= count
    if outside.any():
        found[outside] = _permuted(found[outside], count, keys[outside])
    return found


def windows_of_step(count: int, places: np.ndarray, seed: int) -> np.ndarray:
    """The windows at these places of the endless reading order, int64 both: each epoch of `count` places is a
    permutation of all windows, by a key of its own, and the next follows without a gap."""
    epochs, numbers = np.divmod(np.asarray(places, np.uint64), count)
    keys = splitmix64(splitmix64(np.zeros(1, np.uint64), np.array([seed], np.uint64)), epochs)
    return _permuted(numbers, count, keys).astype(np.int64)


def places_of_step(step: int, batch: int, replay: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Where a step reads on in the order of its own windows and in that of general text, which gives a share `replay`.

    >>> [[part.tolist() for part in places_of_step(step, 2, 0.25)] for step in range(2)]
    [[[0, 1], []], [[2], [0]]]
    """
    begin, end = (int(number * batch * replay) for number in (step, step + 1))
    return np.arange(step * batch - begin, (step + 1) * batch - end), np.arange(begin, end)


def masked_as_bert(tokens: np.ndarray, special: Special, rng: np.random.Generator) -> np.ndarray:
    """What is shown in place of predicted tokens: 80 % [MASK], 10 % a random token, 10 % the token (Devlin et al. 2019)."""
    fate, other = rng.random(tokens.shape), rng.integers(0, special.vocabulary, tokens.shape)
    return np.where(fate < 0.8, special.mask, np.where(fate < 0.9, other, tokens))


def mask_rows(ids: np.ndarray, text: np.ndarray, rate: float, special: Special, rng: np.random.Generator,
              goes_on: np.ndarray | None = None):
    """BERT's masking: of each row's text tokens a share `rate` is predicted.

    The count in a row is rate × tokens, rounded up or down at random so that it is right on average; its upper bound K
    is the same for every batch, which keeps shapes static. With `goes_on`, bool [vocabulary], true of a token that goes
    on with the word before it, words are predicted whole, as many as fit into the count (BERT's whole-word masking).
    Returns ids, picks and labels as in Batch.
    """
    rows, size = ids.shape
    most = int((size - 2) * rate) + 1
    count = np.minimum((text.sum(1) * rate + rng.random(rows)).astype(np.int64), most)
    lottery = rng.random(ids.shape)
    if goes_on is not None:
        lottery, count = _whole_words(lottery, text, goes_on[ids], count)
    picks = np.argsort(np.where(text, lottery, 2.0), axis=1, kind="stable")[:, :most]
    labels = np.take_along_axis(ids, picks, axis=1)
    shown = masked_as_bert(labels, special, rng)
    used = np.arange(most) < count[:, None]
    masked = ids.copy()
    np.put_along_axis(masked, picks, np.where(used, shown, labels), axis=1)
    return masked, picks, np.where(used, labels, IGNORED)


def _whole_words(lottery: np.ndarray, text: np.ndarray, goes_on: np.ndarray, count: np.ndarray):
    """One number for all tokens of a word, and the largest count that cuts no word; arrays [rows, size] and [rows]."""
    before = np.pad(text, ((0, 0), (1, 0)))[:, :-1]
    begins = ~(goes_on & text & before)
    first = np.maximum.accumulate(np.where(begins, np.arange(text.shape[1]), 0), axis=1)
    lottery = np.take_along_axis(lottery, first, axis=1)
    order = np.argsort(np.where(text, lottery, 2.0), axis=1, kind="stable")
    words = np.take_along_axis(first, order, axis=1)
    new_word = np.pad(words[:, 1:] != words[:, :-1], ((0, 0), (1, 1)), constant_values=True)  # [rows, size + 1]
    place = np.where(new_word & (np.arange(text.shape[1] + 1) <= count[:, None]), np.arange(text.shape[1] + 1), 0)
    return lottery, place.max(1)


def training_batch(tokens: Tokens, chosen: Windows, special: Special, batch: int, rate: float, seed: int, step: int,
                   goes_on: np.ndarray | None = None, general: tuple[Tokens, Windows] | None = None,
                   replay: float = 0.0) -> Batch:
    """The whole batch of a step, for all processes; each takes its rows. A share `replay` of all rows is general text."""
    own, again = places_of_step(step, batch, replay)
    filled = [fill(chosen, windows_of_step(len(chosen), own, seed), tokens.ids, special)]
    if len(again):
        text, windows_of_it = general
        filled.append(fill(windows_of_it, windows_of_step(len(windows_of_it), again, seed), text.ids, special))
    ids, segments, positions, source = map(np.concatenate, zip(*filled))
    rng = np.random.Generator(np.random.Philox(key=[seed + (1 << 32), step]))
    masked, picks, labels = mask_rows(ids, source >= 0, rate, special, rng, goes_on)
    return Batch(masked, segments, positions, picks, labels)


def fixed_masks(tokens: Tokens, keys: np.ndarray, rate: float, special: Special, seed: int):
    """Masks for evaluation, a function of (seed, a document's key): the same whatever else is in the set and however
    it is batched. Returns the masked ids and which are predicted, both over all tokens of the set."""
    shown, predicted = np.array(tokens.ids, np.int64), np.zeros(len(tokens.ids), bool)
    for document, key in enumerate(keys.tolist()):
        start, stop = int(tokens.offsets[document]), int(tokens.offsets[document + 1])
        rng = np.random.Generator(np.random.Philox(key=[seed, key]))
        count = int((stop - start) * rate + rng.random())
        places = start + rng.permutation(stop - start)[:count]
        shown[places] = masked_as_bert(shown[places], special, rng)
        predicted[places] = True
    return shown, predicted


def fixed_batches(tokens: Tokens, chosen: Windows, which: np.ndarray, shown: np.ndarray, predicted: np.ndarray,
                  special: Special, batch: int):
    """The windows `which`, `batch` at a time, with the place of each prediction in the ids, int64 [rows, K] (-1 where
    IGNORED)."""
    for start in range(0, len(which), batch):
        rows = which[start:start + batch]
        ids, segments, positions, source = fill(chosen, rows, shown, special)
        asked = (source >= 0) & predicted[source]
        most = max(1, int(asked.sum(1).max()))
        picks = np.argsort(~asked, axis=1, kind="stable")[:, :most]
        used = np.take_along_axis(asked, picks, axis=1)
        places = np.where(used, np.take_along_axis(source, picks, axis=1), -1)
        labels = np.where(used, np.asarray(tokens.ids)[places].astype(np.int64), IGNORED)
        yield Batch(ids, segments, positions, picks, labels), places


def valid_batches(tokens: Tokens, chosen: Windows, special: Special, batch: int, most: int, rate: float) -> list[Batch]:
    """At most `most` windows of a validation set, spread evenly over it (packing sorts by length), under fixed masks:
    the same at every look of every run."""
    which = np.unique(np.linspace(0, len(chosen) - 1, min(most, len(chosen))).round().astype(int))
    ids, segments, positions, source = fill(chosen, which, tokens.ids, special)
    rng = np.random.Generator(np.random.Philox(key=[0, 0]))
    masked, picks, labels = mask_rows(ids, source >= 0, rate, special, rng)
    whole = Batch(masked, segments, positions, picks, labels)
    return [whole.rows(start, start + batch) for start in range(0, len(which), batch)]
