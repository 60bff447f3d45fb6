"""The numbers that goldens are made of; tests/support/formula.h has the same."""
import numpy as np


def draw(n, seed):
    """Numbers in [-0.5, 0.5) from a 32-bit hash of place and seed."""
    h = (np.arange(n, dtype=np.uint64) * 2654435761 + seed * 40503 + 12345) & 0xFFFFFFFF
    h ^= h >> 15
    h = (h * 2246822519) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * 3266489917) & 0xFFFFFFFF
    h ^= h >> 16
    return h.astype(np.float64) / 2.0**32 - 0.5


def seed_of(name):
    return sum((i + 1) * ord(c) for i, c in enumerate(name)) & 0xFFFF
