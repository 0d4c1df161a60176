"""A network that encodes no clip twice, for the same queries to libraries of several sizes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grafprint.fingerprint import Fingerprinter


class CachingFingerprinter(Fingerprinter):
    """Caches the results of :meth:`many` in the folder ``memory``; processes may share it."""

    memory: Path

    def many(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See ``Fingerprinter.many``."""
        how = f"{self.model_id} {self.features.hop_frames} {self.precision}".encode()
        key = hashlib.sha256(b"".join([how, *(clip.tobytes() for clip in clips)])).hexdigest()
        path = self.memory / f"{key}.npz"
        if not path.exists():
            self.memory.mkdir(parents=True, exist_ok=True)
            partial = self.memory / f"{key}-{os.getpid()}.npz"
            np.savez(partial, *super().many(clips))
            partial.replace(path)
        with np.load(path) as kept:
            return [kept[f"arr_{number}"] for number in range(len(clips))]
