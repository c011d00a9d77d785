"""Counter-based random numbers, bit for bit those of lib/base/rng.h, for whole arrays at once.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) of the counter
(index, element / 4) under a key that is derived from a seed and a path of names.
"""

import numpy as np

_MASK = 0xFFFFFFFFFFFFFFFF


def _mix(z: int) -> int:
    """The finaliser of SplitMix64."""
    z = (z + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Rng:
    def __init__(self, seed: int = 0):
        self.key = _mix(seed & _MASK)

    def fork(self, name: "str | int") -> "Rng":
        """An independent generator for a purpose, a path or a number."""
        if isinstance(name, str):
            encoded = name.encode()
            h = 0xCBF29CE484222325  # FNV-1a
            for byte in encoded:
                h = ((h ^ byte) * 0x100000001B3) & _MASK
            name = h ^ (len(encoded) << 56 & _MASK)
        child = Rng()
        child.key = _mix(self.key ^ _mix(name & _MASK))
        return child

    def bits(self, index: int, count: int, begin: int = 0) -> np.ndarray:
        """Words `begin` to `begin + count` of sequence `index`: u32 [count]."""
        first, last = begin // 4, (begin + count + 3) // 4
        block = np.arange(first, last, dtype=np.uint64)
        low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
        c0, c1 = block & low, block >> shift
        c2 = np.full_like(block, index & 0xFFFFFFFF)
        c3 = np.full_like(block, index >> 32)
        k0, k1 = self.key & 0xFFFFFFFF, self.key >> 32
        for _ in range(10):
            p0 = np.uint64(0xD2511F53) * c0
            p1 = np.uint64(0xCD9E8D57) * c2
            c0, c1, c2, c3 = ((p1 >> shift) ^ c1 ^ np.uint64(k0), p1 & low,
                              (p0 >> shift) ^ c3 ^ np.uint64(k1), p0 & low)
            k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
            k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
        words = np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32).ravel()
        return words[begin - 4 * first:][:count]

    def uniform(self, index: int, count: int, begin: int = 0) -> np.ndarray:
        """Uniform in [0, 1) with 24 bits: f32 [count], exact."""
        return (self.bits(index, count, begin) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
