"""What the tab Samples works with: a library for sample identification, and its networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from grafprint import bundled
from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter
from grafprint.library.folder import CATALOGUE
from grafprint.matching.samples import NodeCache, SamplesFound, check_networks, find_samples
from grafprint.models.rerankers import Reranker, reranker_for
from grafprint.remote.address import Place
from grafprint.remote.opening import AnyLibrary, network_of, open_library

LIBRARY = bundled.asset(bundled.SAMPLES_LIBRARY)
TRACKS = 5  # that are shown to a visitor
LONGEST_S = 1200.0  # of a song; others wait meanwhile


@dataclass(eq=False)
class Sampling:
    """A library made with an encoder for samples, the encoder, and its re-ranker if there is one.

    Shared by all visitors, as is the cache of nodes.
    """

    library: AnyLibrary
    fingerprinter: Fingerprinter
    reranker: Reranker | None = None
    cache: NodeCache = field(default_factory=NodeCache)

    @classmethod
    def load(cls, library: Place, reranker: Path | None = None) -> Self:
        """Open a library with the network that it remembers.

        Without a ``reranker``, the bundled one judges if it belongs to that network. Raises
        LibraryError or CheckpointError if they cannot be used, or do not belong together.
        """
        model = network_of(library, DEFAULT_MODEL, "index the music again")
        fingerprinter = Fingerprinter.load(model)
        model_id = fingerprinter.model_id
        judge = reranker_for(model_id, reranker)
        check_networks(fingerprinter, judge)
        opened = open_library(library, model_id=model_id)
        return cls(opened, fingerprinter, judge)

    @classmethod
    def bundled(cls) -> Self | None:
        """Those that come with the program, if they do."""
        if not (LIBRARY / CATALOGUE).is_file():
            return None
        return cls.load(LIBRARY)

    def find(
        self, path: Path, progress: Callable[[str, float], None] | None = None
    ) -> SamplesFound:
        """What the first 20 minutes of a file sample. Raises as ``find_samples`` does."""
        return find_samples(
            self.library,
            self.fingerprinter,
            path,
            reranker=self.reranker,
            cache=self.cache,
            duration_s=LONGEST_S,
            progress=progress,
        )
