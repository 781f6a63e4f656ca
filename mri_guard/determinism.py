"""One root seed, one independent stream per use."""

import zlib

import numpy as np


def generator(seed: int, *use: str | int) -> np.random.Generator:
    """Generator for one use of a root seed; other uses draw from independent streams.

    Args:
        seed: the root seed, printed wherever a result is.
        use: what the draws are for, e.g. `generator(0, "phantom", 17)`.
    """
    key = [zlib.crc32(str(part).encode()) for part in use]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
