"""Have the C library's allocator keep freed memory.

A step allocates and frees hundreds of megabytes of activations. By default glibc gives each large block back to the
system, which zeroes its pages again at the next step: half of a small model's training time on a CPU.
"""

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h


def keep_freed_memory() -> None:
    """Keep freed memory for the next step. Does nothing if the C library is not glibc."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_TOP_PAD, 256 << 20)
