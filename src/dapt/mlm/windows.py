"""Documents in windows of a fixed size.

Short documents share a window: they are packed best-fit-decreasing (Johnson 1974), each with its own [CLS] and [SEP],
position ids from 0 and a segment number, to which attention is confined. A document longer than a window is cut into pieces;
no token is lost. Texts are packed CHUNK tokens at a time, so that memory does not grow with the corpus.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dapt.core.files import whole_folder
from dapt.mlm.tokens import Tokens, growing_array
from dapt.model.tokenizer import Special

CHUNK = 1 << 20  # tokens packed at once: a few ten thousand pieces
PADDING = 0.01  # share of windows for training; more padding than this is filled with pieces cut to fit
COLUMNS = ("starts", "lengths", "bounds")  # the arrays of Windows


@dataclass(frozen=True)
class Windows:
    """Pieces of documents in the order of the windows they share.

    starts, lengths: int64 [pieces], where each piece is in the ids; bounds: int64 [windows + 1], the pieces of window w are
    bounds[w]:bounds[w + 1]; size: tokens per window.
    """

    starts: np.ndarray
    lengths: np.ndarray
    bounds: np.ndarray
    size: int

    def __len__(self) -> int:
        return len(self.bounds) - 1


def pack(sizes: np.ndarray, capacity: int) -> np.ndarray:
    """The window of each item: the largest items first, each into the fullest open window that has room for it.

    >>> pack(np.array([3, 5, 4, 2]), 7).tolist()
    [1, 0, 1, 0]
    """
    window_of = np.empty(len(sizes), np.int64)
    order, windows = np.argsort(-sizes, kind="stable"), int((sizes == capacity).sum())
    window_of[order[:windows]] = np.arange(windows)  # items that fill a window come first
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


def cut_to_fill(
    starts: np.ndarray, lengths: np.ndarray, window_of: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces and their windows with little padding. The fullest windows are kept, as many as have a share PADDING of padding
    together; the pieces of the others are placed one after the other and cut where a window ends.

    If all documents are somewhat longer than half a window, no packing without cuts avoids padding. Each new window except
    the last has a gap of at most `least` slots: 1.6 % for windows of 128 slots or more.
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
    starts, lengths, window_of = (
        np.concatenate([old[stays], more]) for old, more in zip((starts, lengths, window_of), new)
    )
    return starts, lengths, np.unique(window_of, return_inverse=True)[1]


def _chunks(offsets: np.ndarray, longest: int) -> Iterator[tuple[int, int]]:
    """The first and last places of chunks of about CHUNK tokens; each chunk begins at the start of a piece of a document."""
    begin, end = 0, int(offsets[-1])
    while begin < end:
        stop = min(begin + CHUNK, end)
        if stop < end:
            document = int(offsets[np.searchsorted(offsets, stop, "right") - 1])
            stop = document + (stop - document) // longest * longest
        yield begin, stop
        begin = stop


def packed(tokens: Tokens, size: int, cut: bool) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The COLUMNS of Windows, one chunk at a time."""
    longest, before = size - 2, 0
    yield np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64)
    for begin, stop in _chunks(tokens.offsets, longest):
        first = np.searchsorted(tokens.offsets, begin, "right") - 1
        last = np.searchsorted(tokens.offsets, stop, "left")
        edges = np.clip(tokens.offsets[first : last + 1], begin, stop)
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


def windows_in_memory(tokens: Tokens, size: int) -> Windows:
    """All documents in windows of `size` tokens, including [CLS] and [SEP] of each piece, in memory. Documents that fit into
    a window are not cut."""
    starts, lengths, bounds = map(np.concatenate, zip(*packed(tokens, size, cut=False)))
    return Windows(starts, lengths, bounds, size)


def windows_on_disk(folder: Path, tokens: Tokens, size: int) -> Windows:
    """Windows for training, memory-mapped from `folder`, which is written first if it does not exist, completely or not at
    all. In a corpus of a few hundred windows or more, less than 2 % is padding (cut_to_fill)."""
    if not folder.is_dir():
        with whole_folder(folder) as temporary, ExitStack() as stack:
            appends = [stack.enter_context(growing_array(temporary / f"{name}.npy")) for name in COLUMNS]
            for chunk in packed(tokens, size, cut=True):
                for append, values in zip(appends, chunk):
                    append(values)
    starts, lengths, bounds = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in COLUMNS)
    return Windows(starts, lengths, bounds, size)


@dataclass(frozen=True)
class TrainingText:
    """Tokenised documents, their windows, and the special tokens around them."""

    tokens: Tokens
    windows: Windows
    special: Special

    def fill(self, rows: np.ndarray, shown: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """Like the function `fill`; `shown`, one id per token, replaces the ids of the text."""
        return fill(self.windows, rows, self.tokens.ids if shown is None else shown, self.special)


def text_in_memory(tokens: Tokens, size: int, special: Special) -> TrainingText:
    """A text for evaluation: documents that fit into a window are not cut."""
    return TrainingText(tokens, windows_in_memory(tokens, size), special)


def text_on_disk(folder: Path, tokens: Tokens, size: int, special: Special) -> TrainingText:
    """A text for training: its windows are files in `folder`."""
    return TrainingText(tokens, windows_on_disk(folder, tokens, size), special)


def fill(chosen: Windows, rows: np.ndarray, ids: np.ndarray, special: Special) -> tuple[np.ndarray, ...]:
    """The windows `rows` as arrays [rows, size]: ids, segments, positions, and source: the place of each token in `ids`, or
    -1 at [CLS], [SEP] and padding."""
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
