"""Fingerprint audio: a trained encoder and its features behind one call."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from grafprint import bundled
from grafprint.audio import unusable_reason
from grafprint.errors import CheckpointError
from grafprint.models import checkpoint
from grafprint.models.chunking import stream_chunks
from grafprint.models.encoders import Encoder, GraFPrint, OwnEncoder, build
from grafprint.models.encoders.sliding import Sliding
from grafprint.models.fast.grafprint import FastGraFPrint, supports
from grafprint.models.fast.precision import faster_in_bf16
from grafprint.models.fast.sliding import FastSliding
from grafprint.models.features import (
    FeatureConfig,
    LogMel,
    WindowStream,
    count_windows,
    stream_windows,
)
from grafprint.models.graph import BlockGraph
from grafprint.threads import side_by_side

DEFAULT_MODEL = bundled.asset("grafprint.safetensors")
# Distilled from the default model, for building libraries fast.
FAST_MODEL = bundled.asset("grafprint-fast.safetensors")


class Fingerprinter:
    """Turns recordings into sequences of fingerprints, the same for whole and streamed audio.

    Each segment is encoded alone, in eval mode: a fingerprint depends only on its own second of
    audio. The exception are encoders that read chunks of many windows: their fingerprints also
    depend on the audio around it.
    """

    def __init__(
        self,
        encoder: nn.Module,
        features: FeatureConfig | None = None,
        device: str | torch.device = "cpu",
        batch: int = 64,
        precision: str = "auto",
        facts: dict[str, Any] | None = None,
    ) -> None:
        """Wrap a network: one of the project's encoders, or any torch module.

        A module of one's own gets log-mels ``[n, n_mels, window_frames]`` and returns ``[n, dim]``
        (:class:`grafprint.models.encoders.OwnEncoder`); ConfigError if it does not.
        ``batch`` segments are encoded at once. ``precision`` is ``fp32``, ``bf16`` or ``auto``:
        bf16 where that is faster (twice as fast on many CPUs; the cosine similarity to fp32 drops
        by about 0.001). ``facts`` tell how the network was trained.
        """
        if precision not in ("auto", "bf16", "fp32"):
            raise ValueError(f"precision is auto, bf16 or fp32, not {precision!r}")
        if not isinstance(encoder, Encoder):
            encoder = OwnEncoder(encoder, features)
        if features is None and isinstance(encoder, OwnEncoder):
            features = encoder.feature_config
        self.features = features or FeatureConfig()
        self.device = torch.device(device)
        self.facts = facts or {}
        self.file: Path | None = None  # where it was loaded from
        # A distilled network makes its teacher's fingerprints, so it has the teacher's id.
        self.model_id: str = self.facts.get("imitates") or checkpoint.identity(
            encoder, self.features
        )
        self.encoder = encoder.to(self.device, memory_format=encoder.memory_format).eval()  # type: ignore[call-overload]
        if precision == "auto":
            precision = "bf16" if faster_in_bf16(self.device) else "fp32"
        self.precision = precision
        # These copy the weights: after more training, build a new Fingerprinter.
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._fast: FastGraFPrint | FastSliding | None = None
        if self.device.type == "cpu" and isinstance(self.encoder, Sliding):
            self._fast = FastSliding(self.encoder, dtype)
        elif self.device.type == "cpu" and supports(self.encoder):
            self._fast = FastGraFPrint(cast(GraFPrint, self.encoder), dtype)
        self.logmel = LogMel(self.features)
        self.batch = batch

    @classmethod
    def load(
        cls,
        model: str | Path = DEFAULT_MODEL,
        device: str | torch.device = "cpu",
        precision: str = "auto",
        network: type[nn.Module] | nn.Module | None = None,
    ) -> Fingerprinter:
        """Load a trained network. Raises CheckpointError if the file cannot be used.

        A network of one's own needs its class, or a module that gets the weights, as ``network``:
        a file alone never makes code be imported.
        """
        encoder, features, facts = checkpoint.load_encoder(model, network)
        loaded = cls(encoder, features, device, precision=precision, facts=facts)
        loaded.file = Path(model)
        return loaded

    @classmethod
    def untrained(cls, seed: int = 0, encoder: str = "grafprint") -> Fingerprinter:
        """A network with seeded random weights, for experiments and comparisons."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(build(encoder))

    def save(self, file: str | Path) -> None:
        """Write the network to a file for ``--model`` and :meth:`load`. Raises WriteError."""
        self.file = Path(file)
        checkpoint.save_encoder(self.file, self.encoder, self.features, self.facts)

    @property
    def imitates(self) -> str | None:
        """The id of the network that this one was distilled from, or None.

        It is the :attr:`model_id` of both: for clean music they make the same fingerprints.
        """
        return self.facts.get("imitates")

    @property
    def dim(self) -> int:
        """Dimensions of a fingerprint."""
        return self.encoder.dim

    @property
    def hop_s(self) -> float:
        """Fingerprint ``i`` begins ``i * hop_s`` seconds into the recording."""
        return self.features.hop_s

    @property
    def window_s(self) -> float:
        """Seconds of audio in one fingerprint."""
        return self.features.window_s

    def count(self, samples: int) -> int:
        """Number of fingerprints of a recording of ``samples`` samples."""
        if samples < self.features.window_samples:
            return 0
        return count_windows(1 + samples // self.features.hop_length, self.features)

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        """Fingerprints ``[n, dim]`` (float32, unit length) of audio ``[samples]`` at 16 kHz.

        A silent segment gets the zero vector, which matches nothing. Raises ValueError for audio
        shorter than one segment or with non-finite samples.
        """
        return np.concatenate(list(self.stream([audio])))

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Fingerprint audio that arrives in chunks; yields fingerprints in pieces ``[n, dim]``.

        Memory is bounded by the largest chunk. Raises ValueError as ``__call__`` does.
        """
        tensors = (_to_tensor(chunk) for chunk in chunks)
        if self.encoder.reads_chunks:
            parts = stream_chunks(tensors, self.logmel, mirrored=self.imitates is not None)
            yield from side_by_side(lambda part: self.encode_windows(*part), parts)
            return
        for inputs, silent in stream_windows(tensors, self.logmel, self.batch):
            yield self.encode_windows(inputs, silent)

    def live(self) -> LiveFingerprints:
        """Fingerprint live audio, as it comes in."""
        return LiveFingerprints(self)

    def many(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Fingerprint several short clips together: ``[n, dim]`` for each.

        This is faster than one by one. Raises ValueError as ``__call__`` does.
        """
        if self.encoder.reads_chunks:
            return [self(clip) for clip in clips]
        parts = [list(stream_windows([_to_tensor(clip)], self.logmel)) for clip in clips]
        inputs, silent = (torch.cat(t) for t in zip(*itertools.chain(*parts), strict=True))
        counts = [sum(len(x) for x, _ in part) for part in parts]
        return np.split(self.encode_windows(inputs, silent), np.cumsum(counts)[:-1])

    def encode(self, inputs: Tensor) -> Tensor:
        """Encode inputs ``[n, 3, 64, 32]`` in batches: fingerprints ``[n, dim]``."""
        portions = inputs.split(self.batch)
        if self._fast:
            return torch.cat([self._fast(portion) for portion in portions])
        with torch.inference_mode(), self._autocast():
            return torch.cat([self.encoder(portion.to(self.device)) for portion in portions]).cpu()

    @property
    def makes_graphs(self) -> bool:
        """Whether the encoder's blocks work on graphs that :meth:`graphs` can return."""
        return isinstance(self.encoder, GraFPrint)

    def graphs(self, inputs: Tensor) -> tuple[Tensor, list[BlockGraph]]:
        """Fingerprints and the graph of every block, from one forward pass.

        Raises TypeError if the encoder makes no graphs.
        """
        if not isinstance(self.encoder, GraFPrint):
            raise TypeError(f"a {type(self.encoder).__name__} encoder makes no graphs")
        if isinstance(self._fast, FastGraFPrint):
            return self._fast.with_graphs(inputs)
        with torch.inference_mode(), self._autocast():
            return self.encoder.forward_with_graphs(inputs.to(self.device))

    def nodes(self, inputs: Tensor) -> Tensor:
        """Nodes ``[n, N, C]`` (float32) of inputs, before they are pooled and projected.

        Raises TypeError if the encoder has no nodes.
        """
        if not isinstance(self.encoder, GraFPrint):
            raise TypeError(f"a {type(self.encoder).__name__} encoder has no nodes")
        portions = inputs.split(self.batch)
        if isinstance(self._fast, FastGraFPrint):
            return torch.cat([self._fast.nodes(portion) for portion in portions])
        with torch.inference_mode(), self._autocast():
            found = [self.encoder.nodes(p.to(self.device)) for p in portions]
        return torch.cat(found).float().cpu()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def encode_windows(
        self, inputs: Tensor, silent: Tensor, own: slice = slice(None)
    ) -> np.ndarray:
        """Encode inputs: fingerprints ``[n, dim]``, the zero vector where ``silent [n]``.

        If the input is a chunk, ``own`` selects its windows that are not context.
        """
        vectors: np.ndarray = self.encode(inputs).flatten(0, -2).numpy()[own]
        vectors[silent.numpy()] = 0
        if not np.isfinite(vectors).all():
            raise CheckpointError(
                f"the network {self.model_id} made a fingerprint of NaN or infinity: its weights "
                "are broken, or it divides by zero"
            )
        return vectors


class LiveFingerprints:
    """Fingerprints of live audio, each as soon as its second is complete."""

    def __init__(self, fingerprinter: Fingerprinter) -> None:
        self._fingerprinter = fingerprinter
        self._windows = WindowStream(fingerprinter.logmel, fingerprinter.batch)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples ``[n]`` at 16 kHz; return newly complete fingerprints ``[m, dim]``.

        Together they are the fingerprints of the whole audio, except the last ones, whose second
        has not ended. Raises ValueError for non-finite samples.
        """
        encode = self._fingerprinter.encode_windows
        parts = [encode(*piece) for piece in self._windows.push(_to_tensor(samples))]
        return np.concatenate([np.empty((0, self._fingerprinter.dim), np.float32), *parts])


def _to_tensor(chunk: np.ndarray) -> Tensor:
    if chunk.ndim != 1:
        raise ValueError(f"mono audio [samples] is expected, got an array of shape {chunk.shape}")
    if reason := unusable_reason(chunk):
        raise ValueError(f"the audio contains {reason}")
    return torch.from_numpy(np.ascontiguousarray(chunk, np.float32))
