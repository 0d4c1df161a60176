"""Distil a fast network for building libraries from a slower one.

The music in a library is clean, and its windows have context. There the encoder that processes a
recording once can reproduce the fingerprints that the paper's encoder computes from each second
alone (knowledge distillation; Hinton et al., 2015). Queries are still fingerprinted by the slower
network, which is robust to noise. Distilling needs neither degradation nor large batches of
negatives: half an hour on two cores is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from grafprint import audio
from grafprint.library import Library, LibraryError
from grafprint.models import checkpoint
from grafprint.models.chunking import CONTEXT, chunk_input
from grafprint.models.encoders import Encoder, build
from grafprint.models.fast.precision import faster_in_bf16
from grafprint.models.features import FeatureConfig, LogMel, count_frames, count_windows
from grafprint.training.config import (
    DISTILLED,
    DistillationConfig,
    learning_rate_at,
    save_config,
)
from grafprint.training.loop import Cadence, load_state, run_loop, save_state, state_path

_HELD_OUT = 40  # one track in 40, and at least one, is held out
_SMOOTHED = 0.98


@dataclass(frozen=True)
class DistillationProgress:
    """After a step: mean cosine similarity to the teacher, recently and on held-out tracks."""

    step: int
    steps: int
    cosine_similarity: float
    held_out: float | None
    seconds_per_step: float


class DistillationData:
    """Log-mels of a library's tracks, in float16, and their fingerprints in the library."""

    def __init__(
        self,
        library: Library,
        features: FeatureConfig,
        config: DistillationConfig,
        on_decode: Callable[[int, int], None] | None = None,
    ) -> None:
        """Decode up to ``hours`` of the tracks whose audio files exist, in random order.

        Raises LibraryError if fewer than two are long enough.
        """
        self.features, self.size = features, config.windows
        logmel = LogMel(features)
        least, most = self.size + 2 * CONTEXT, config.hours * 3600 / library.hop_s
        rng = np.random.default_rng(config.seed)
        tracks = [t for t in library.tracks() if t.count >= least]
        mels, prints, windows = [], [], 0
        for done, number in enumerate(rng.permutation(len(tracks))):
            track = tracks[number]
            if windows >= most:
                break
            if on_decode:
                on_decode(done, len(tracks))
            path = library.audio_path(track)
            try:
                frames = logmel(torch.from_numpy(audio.load(path))) if path else None
            except audio.AudioError:
                continue
            if frames is None or count_windows(len(frames), features) != track.count:
                continue  # the file has changed
            rows = np.arange(track.first, track.first + track.count)
            mels.append(frames.half())
            prints.append(torch.from_numpy(library.vectors(rows)).half())
            windows += track.count
        if len(mels) < 2:
            raise LibraryError(
                f"{library.path}: at least two tracks of {least * library.hop_s:.0f} s are needed "
                "whose audio files have not moved"
            )
        count = max(1, len(mels) // _HELD_OUT)
        self.held_out = list(zip(mels[:count], prints[:count], strict=True))
        self.mels, self.prints = mels[count:], prints[count:]
        self.hours = windows * library.hop_s / 3600
        counts = np.array([len(p) - least + 1 for p in self.prints], np.float64)
        self._share = counts / counts.sum()

    def draw(self, seed: int, step: int, batch: int) -> tuple[Tensor, Tensor]:
        """Draw chunks, with context, and the fingerprints of their windows, without.

        ``[batch, 3, n_mels, frames]`` and ``[batch, windows, dim]``; a function of seed and step.
        """
        rng = np.random.default_rng([seed, step])
        inputs, targets = [], []
        for number in rng.choice(len(self.mels), batch, p=self._share):
            mel, prints = self.mels[number], self.prints[number]
            total = self.size + 2 * CONTEXT
            first = int(rng.integers(len(prints) - total + 1))
            begin = first * self.features.hop_frames
            frames = mel[begin : begin + count_frames(total, self.features)].float()
            inputs.append(chunk_input(frames, self.features))
            targets.append(prints[first + CONTEXT : first + CONTEXT + self.size].float())
        return torch.cat(inputs), torch.stack(targets)


def cosine_similarity(fingerprints: Tensor, targets: Tensor) -> Tensor:
    """Mean inner product of fingerprints ``[..., dim]``, without the silent ones of ``targets``.

    0 if all are silent.
    """
    non_silent = targets.any(dim=-1)
    similarities = (fingerprints.float() * targets).sum(dim=-1)[non_silent]
    return similarities.mean() if len(similarities) else similarities.sum()


def distill(
    library: Library,
    features: FeatureConfig,
    config: DistillationConfig,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    on_progress: Callable[[DistillationProgress], None] | None = None,
    on_decode: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Path:
    """Train a network to compute the fingerprints that ``library`` holds; return its path.

    ``features`` are those of the network that made them. ``out`` then holds
    ``encoder.safetensors`` (to use), ``state.safetensors`` (to resume) and ``config.json``.
    ``stop`` is asked before every step; on True the state is saved and training ends early.

    Raises:
        LibraryError: as :class:`DistillationData` raises it.
        FileExistsError: ``out`` holds a run and ``resume`` is False.
        CheckpointError: the saved state does not fit.
        DivergedError: the loss or the weights have become infinite or NaN.
    """
    state = state_path(out, resume)
    out.mkdir(parents=True, exist_ok=True)
    data = DistillationData(library, features, config, on_decode)
    training = _Distillation(
        data, config, state, library.model_id, library.dim, device, on_progress
    )
    first = training.resume() if resume else 0
    save_config(out / "config.json", config)
    every = config.save_every
    cadence = Cadence(config.steps, validate_every=every, report_every=1, save_every=every)
    finished = run_loop(training, cadence, out, first, stop)
    return out / "encoder.safetensors" if finished else state


class _Distillation:
    """Distillation for :func:`run_loop`: what it learns from, network, optimiser and progress."""

    def __init__(
        self,
        data: DistillationData,
        config: DistillationConfig,
        state: Path,
        teacher: str,
        dim: int,
        device: str,
        on_progress: Callable[[DistillationProgress], None] | None,
    ) -> None:
        self.data, self.config, self.state, self.teacher = data, config, state, teacher
        self.device, self.on_progress = torch.device(device), on_progress
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            f = data.features
            # As the teacher's, which may be a network of one's own.
            same = {"input_shape": (f.n_mels, f.window_frames), "hop": f.hop_frames, "dim": dim}
            encoder = build(DISTILLED, same | config.encoder_options)
        self.encoder: Encoder = encoder.to(memory_format=torch.channels_last).to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.encoder.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        enabled = faster_in_bf16(self.device)
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)
        self.held_out: float | None = None
        self.reports, self.similarity, self.pace_s = 0, 0.0, 0.0

    def batches(self, first: int) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
        """Chunks and the fingerprints to learn."""
        for step in range(first, self.config.steps):
            yield step, self.data.draw(self.config.seed, step, self.config.batch)

    def step(self, step: int, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Loss and mean cosine similarity, [2]."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(step, self.config)
        inputs, targets = (t.to(self.device) for t in batch)
        with self.autocast:
            fingerprints = self.encoder(inputs)[:, CONTEXT:-CONTEXT]
        similarity = cosine_similarity(fingerprints, targets)
        loss = 1 - similarity
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.encoder.parameters(), 1.0)
        self.optimiser.step()
        return torch.stack([loss, similarity]).detach()

    @torch.no_grad()
    def validate(self, done: int) -> None:
        """Cosine similarity on the held-out tracks."""
        self.encoder.eval()
        fingerprints, targets = [], []
        for mel, prints in self.data.held_out:
            frames = mel[: count_frames(len(prints), self.data.features)].float()
            with self.autocast:
                chunk = chunk_input(frames, self.data.features).to(self.device)
                fingerprints.append(self.encoder(chunk)[0].cpu())
            targets.append(prints.float())
        self.encoder.train()
        self.held_out = float(cosine_similarity(torch.cat(fingerprints), torch.cat(targets)))

    def report(self, done: int, figures: list[float], seconds_per_step: float) -> None:
        """Smooth similarity and pace, and tell the caller."""
        share = min(_SMOOTHED, self.reports / (self.reports + 1))
        self.reports += 1
        self.similarity = share * self.similarity + (1 - share) * figures[1]
        self.pace_s = share * self.pace_s + (1 - share) * seconds_per_step
        if self.on_progress:
            progress = DistillationProgress(
                done, self.config.steps, self.similarity, self.held_out, self.pace_s
            )
            self.on_progress(progress)

    def save(self, done: int) -> None:
        """Write state and network."""
        save_state(self.state, "imitation", done, self.encoder, self.optimiser)
        facts = {
            "imitates": self.teacher,
            "config": asdict(self.config),
            "steps_done": done,
            "hours": self.data.hours,
            "tracks": len(self.data.mels),
            "held_out_likeness": self.held_out,
        }
        network = self.state.with_name("encoder.safetensors")
        checkpoint.save_encoder(network, self.encoder, self.data.features, facts)

    def resume(self) -> int:
        """Restore the saved state; returns the number of steps done."""
        return load_state(self.state, "imitation", self.encoder, self.optimiser)[0]
