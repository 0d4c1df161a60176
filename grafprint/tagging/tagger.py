"""A trained tagger and its features behind one call: audio in, probabilities of labels out."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grafprint import audio, bundled
from grafprint.errors import AudioError, CheckpointError, ConfigError
from grafprint.models import checkpoint
from grafprint.models.taggers import ClipInput, Tagger, load_tagger
from grafprint.tagging.tags import ClipTags

DEFAULT_TAGGER = bundled.asset("tagger.safetensors")
HOP_S = 5.0  # between the starts of windows, unless half a window is less

_BATCH = {"cpu": 4}  # windows computed together; more do not make a CPU faster
_BATCH_GPU = 32


@dataclass(eq=False)
class _Collected:
    starts: list[int] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)
    silent: list[np.ndarray] = field(default_factory=list)
    samples: int = 0


class ClipTagger:
    """Says what clips sound like: the probability of each of its labels, over time.

    A clip is tagged in windows as long as the clips that the network was trained with (about
    10 s). A shorter one is padded with silence, as it was in training. Clips may have any length:
    memory is bounded by a window and what is read of the clip at a time.
    """

    def __init__(self, tagger: Tagger, device: str | torch.device = "cpu") -> None:
        """Wrap a tagger of :func:`~grafprint.models.taggers.load_tagger`.

        Its facts may have a ``calibration``: ``{"scale": [S], "bias": [S]}``. The probabilities
        are then the sigmoid of ``scale * logit + bias``. Raises CheckpointError if it has other
        numbers than labels.
        """
        self.device = torch.device(device)
        self.network = tagger.network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.labels, self.features, self.facts = tagger.labels, tagger.features, tagger.facts
        self.file: Path | None = None  # where it was loaded from
        self._inputs = ClipInput(self.features).to(self.device)
        self._scale, self._bias = _calibration(tagger, self.device)

    @classmethod
    def load(cls, path: str | Path | None = None, device: str | torch.device = "cpu") -> ClipTagger:
        """Load a tagger from a file of ``train-tagger``; None: the one that comes with the program.

        Raises CheckpointError if there is none, or the file cannot be used.
        """
        file = Path(path or DEFAULT_TAGGER)
        if path is None and not file.is_file():
            raise CheckpointError(
                "no trained tagger comes with this version: name one with --tagger (in Python: "
                "ClipTagger.load(path)). docs/tagging.md says how to train one"
            )
        tagger = cls(load_tagger(file), device)
        tagger.file = file
        return tagger

    @cached_property
    def tagger_id(self) -> str:
        """The same for taggers that make the same probabilities: 16 hex digits."""
        options = {"options": self.network.config.options(), "labels": list(self.labels)}
        network = checkpoint.digest(options, asdict(self.features), self.network.state_dict())
        if not (calibration := self.facts.get("calibration")):
            return network
        both = f"{network} {json.dumps(calibration, sort_keys=True)}"
        return hashlib.sha256(both.encode()).hexdigest()[:16]

    @property
    def window_samples(self) -> int:
        """Samples in a window."""
        return self.network.config.input_shape[1] * self.features.hop_length

    @property
    def window_s(self) -> float:
        """Seconds in a window."""
        return self.window_samples / self.features.sample_rate_hz

    def tag(self, samples: np.ndarray, hop_s: float | None = None) -> ClipTags:
        """The labels of audio ``[samples]`` at 16 kHz, mono; a window begins every ``hop_s``.

        None: every 5 s, or every half window if that is less. Raises AudioError for empty audio or
        samples that are not finite, ConfigError for a hop that is not above 0 or longer than a
        window.
        """
        return self.tag_stream([samples], hop_s)

    def tag_file(
        self,
        path: str | Path,
        hop_s: float | None = None,
        *,
        start_s: float = 0.0,
        duration_s: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> ClipTags:
        """The labels of a file in any format, or of ``duration_s`` from ``start_s`` on.

        ``progress`` is called with the seconds tagged so far. Raises AudioError if the file cannot
        be read.
        """
        chunks = audio.stream(path, start_s=start_s, duration_s=duration_s)
        return self.tag_stream(chunks, hop_s, progress)

    def tag_stream(
        self,
        chunks: Iterable[np.ndarray],
        hop_s: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> ClipTags:
        """The labels of audio that arrives in chunks ``[n]``; the same as of the whole.

        The last window ends where the audio does.
        """
        rate = self.features.sample_rate_hz
        if hop_s is None:
            hop_s = min(HOP_S, self.window_s / 2)
        if not 0 < hop_s <= self.window_s:
            raise ConfigError(f"the hop is above 0 and at most {self.window_s:g} s, not {hop_s:g}")
        found = _Collected()
        windows = self._windows(chunks, max(1, round(hop_s * rate)), found)
        batch = _BATCH.get(self.device.type, _BATCH_GPU)
        while some := list(islice(windows, batch)):
            probabilities, silent = self.probabilities(np.stack(some))
            found.probabilities.append(probabilities)
            found.silent.append(silent)
            if progress:
                progress(found.starts[-1] / rate)
        middles = np.array(found.starts) / rate + self.window_s / 2
        duration_s = found.samples / rate
        edges = np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [duration_s]])
        return ClipTags(
            self.labels,
            duration_s,
            np.concatenate(found.probabilities),
            edges[:-1],
            edges[1:],
            np.concatenate(found.silent),
        )

    def _windows(
        self, chunks: Iterable[np.ndarray], hop: int, found: _Collected
    ) -> Iterator[np.ndarray]:
        """Windows ``[window_samples]``; notes where they start and how long all of it is."""
        size = self.window_samples
        held, begin, upcoming, covered = np.empty(0, np.float32), 0, 0, 0
        for chunk in chunks:
            held = np.concatenate([held, _checked(chunk)])
            while upcoming + size <= begin + len(held):
                # What was yielded last stays: the last window of all may begin within it.
                held, begin = held[upcoming - begin :], upcoming
                found.starts.append(begin)
                yield held[:size].copy()
                covered, upcoming = begin + size, begin + hop
        found.samples = begin + len(held)
        if not found.samples:
            raise AudioError("the audio is empty: record or choose some")
        if covered < found.samples:
            last = held[-size:]
            found.starts.append(max(0, found.samples - size))
            yield np.pad(last, (0, size - len(last)))

    def probabilities(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities ``[B, S]`` of audio ``[B, samples]``, and which are silent ``[B]``."""
        inputs, silent = self.inputs(windows)
        with torch.inference_mode():
            logits = self.network(inputs)
        if not torch.isfinite(logits).all():
            raise CheckpointError(
                f"the tagger {self.tagger_id} made a logit of NaN or infinity: its weights are "
                "broken"
            )
        found = self.calibrated(logits).cpu().numpy()
        found[silent] = 0
        return found, silent

    def inputs(self, windows: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Spectrograms ``[B, mel bins, frames]`` of audio ``[B, samples]``; silent ones ``[B]``."""
        tensor = torch.from_numpy(np.ascontiguousarray(windows, np.float32)).to(self.device)
        inputs = self._inputs(tensor)
        # The loudest bin of all that is not silent is 1.
        return inputs, (inputs.amax(dim=(1, 2)) < 1).cpu().numpy()

    def calibrated(self, logits: Tensor) -> Tensor:
        """Probabilities of logits ``[..., S]``."""
        return (self._scale * logits + self._bias).sigmoid()


def _checked(chunk: np.ndarray) -> np.ndarray:
    chunk = np.asarray(chunk)
    if chunk.ndim != 1:
        raise AudioError(f"mono audio [samples] is expected, got an array of shape {chunk.shape}")
    if reason := audio.unusable_reason(chunk):
        raise AudioError(f"the audio holds {reason}: record or export it again")
    return chunk.astype(np.float32, copy=False)


def _calibration(tagger: Tagger, device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and bias of the logits, each ``[S]``; 1 and 0 for a tagger without calibration."""
    count = len(tagger.labels)
    given = tagger.facts.get("calibration") or {"scale": [1.0] * count, "bias": [0.0] * count}
    try:
        scale, bias = ([float(v) for v in given[name]] for name in ("scale", "bias"))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the tagger's calibration is damaged: {error!r}") from error
    if (len(scale), len(bias)) != (count, count) or not all(map(math.isfinite, scale + bias)):
        raise CheckpointError(f"the tagger's calibration does not have {count} finite numbers each")
    return torch.tensor(scale, device=device), torch.tensor(bias, device=device)
