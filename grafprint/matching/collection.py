"""What matching asks of a collection of fingerprinted tracks, wherever that is.

``grafprint.library.Library``, in a folder, is one implementation. Any engine that provides nearest
neighbours, the track of each row, scores of candidate places and a few facts can be another.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from grafprint.library.records import Network, Track


class Collection(Protocol):
    """Tracks, each a run of consecutive rows; a row is one fingerprint, one hop after the last.

    Shapes: ``m`` query segments of ``dim`` numbers, ``c`` candidates. Its own errors are
    LibraryErrors.
    """

    # Facts

    @property
    def library_id(self) -> str:
        """The same for as long as this is the same collection."""
        ...

    @property
    def location(self) -> str:
        """Where it is, for messages."""
        ...

    @property
    def dim(self) -> int:
        """Numbers in a fingerprint."""
        ...

    @property
    def hop_s(self) -> float:
        """Seconds between the starts of consecutive fingerprints."""
        ...

    @property
    def window_s(self) -> float:
        """Seconds of audio in one fingerprint."""
        ...

    @property
    def rows(self) -> int:
        """Number of rows, including those of removed tracks; changes when tracks are added."""
        ...

    @property
    def exact(self) -> bool:
        """Whether a search compares with every fingerprint."""
        ...

    def __len__(self) -> int:
        """Number of fingerprints of all tracks."""
        ...

    def check_query(self, network: Network) -> None:
        """Raise LibraryError unless clips fingerprinted by ``network`` can be identified here."""
        ...

    # Neighbours, and whose they are

    def locked(self) -> AbstractContextManager[None]:
        """Hold off changes, so that row numbers stay valid between calls."""
        ...

    def search(self, queries: np.ndarray, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Inner products and rows ``[m, k]`` of the fingerprints nearest to ``queries [m, dim]``.

        If ``k`` is None, as many as it takes to identify a clip whose segments these are. Silent
        fingerprints (zero vectors) and removed tracks are left out; row -1 if there are fewer.
        """
        ...

    def spans(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For rows ``[...]``: track id, first row and row count; -1, -1, 0 for rows of no track."""
        ...

    def track(self, track_id: int) -> Track:
        """The track with this id. Raises LibraryError if there is none."""
        ...

    def require_intact(self, track: Track) -> None:
        """Raise LibraryError if a track's fingerprints are no longer as stored."""
        ...

    # Landmarks: a second witness (grafprint/audio/landmarks.py)

    @property
    def has_landmarks(self) -> bool:
        """Whether tracks have landmarks; if not, fingerprints decide alone."""
        ...

    def landmarks(self, first: int, end: int) -> np.ndarray:
        """The landmarks, uint16 [end - first, 8], of rows ``first`` to ``end`` (exclusive)."""
        ...

    def prefetch_landmarks(self, firsts: np.ndarray) -> None:
        """A hint that the landmarks of the tracks with these first rows are needed next."""
        ...

    def tracks_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The first row and the row count of each track: int64 [tracks], in order of rows."""
        ...

    # Scores

    def prefetch(self, firsts: np.ndarray, ends: np.ndarray) -> None:
        """A hint that rows ``firsts [c]`` to ``ends [c]`` (exclusive) are needed next."""
        ...

    def score_sums(
        self, places: np.ndarray, positions: np.ndarray, queries: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums of the inner products of a query with the rows at each candidate (Eq. 8).

        ``places [3, c]``: the row that the query's first segment meets, the track's first row and
        its row count. ``queries [n, dim]`` are segments at ``positions [n]``; those that meet no
        row of the track are left out. Returns the sums, float64 [c], and the number of segments in
        each, int64 [c].
        """
        ...

    def products(self, rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Inner products ``[c, n]`` of rows ``[c, n]`` with ``queries [n, dim]``."""
        ...

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The fingerprints ``[..., dim]`` (float32) of rows ``[...]``."""
        ...
