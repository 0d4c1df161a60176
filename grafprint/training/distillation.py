"""A fast network that imitates a slower one on clean music, for building libraries.

What a library holds is clean, and each window of it has its surroundings: the encoder that reads a
recording once can make there what the paper's makes of every second by itself (knowledge
distillation; Hinton et al., 2015). Queries stay the slower network's work, which has learned to
hear through noise. Nothing has to be degraded or compared in large batches, so minutes are enough.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grafprint import audio, errors
from grafprint.library import Library, LibraryError
from grafprint.models import checkpoint
from grafprint.models.chunking import CONTEXT, stretch
from grafprint.models.encoders import build
from grafprint.models.fast.precision import faster_in_bf16
from grafprint.models.features import FeatureConfig, LogMel, count_frames, count_windows

HALF = {"widths": [32, 64, 128, 256], "pooled_width": 512, "hidden_width": 2048}
_HELD_OUT = 40  # of so many tracks one, or at least one, is not learned from
_SMOOTHED = 0.98


@dataclass(frozen=True)
class ImitationConfig:
    """How an imitating network is trained; lengths are in windows."""

    steps: int = 4800
    batch: int = 8  # stretches a step
    windows: int = 64  # of a stretch, without those around them
    learning_rate: float = 2e-3
    final_learning_rate: float = 2e-5
    warmup_steps: int = 50
    weight_decay: float = 1e-2
    hours: float = 20.0  # of music at most
    seed: int = 0
    save_every: int = 200
    encoder_options: dict[str, Any] = field(default_factory=lambda: dict(HALF))


def load_config(path: Path) -> ImitationConfig:
    """The settings of a run. Raises FileNotFoundError, or ValueError if they are damaged."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent}: nothing to resume there")
    try:
        return ImitationConfig(**json.loads(path.read_text(encoding="utf-8")))
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error


@dataclass(frozen=True)
class DistillationProgress:
    """After a step: how alike the fingerprints are (mean inner product), lately and held out."""

    step: int
    steps: int
    cosine_similarity: float
    held_out: float | None
    seconds_per_step: float


class DistillationData:
    """Log-mels of a library's tracks, float16, and the fingerprints that it has of them."""

    def __init__(
        self,
        library: Library,
        features: FeatureConfig,
        config: ImitationConfig,
        on_decode: Callable[[int, int], None] | None = None,
    ) -> None:
        """Decode up to ``hours`` of the tracks whose audio is at hand, in random order.

        Raises LibraryError if there are not two that are long enough.
        """
        self.features, self.size = features, config.windows
        logmel = LogMel(features)
        least, most = self.size + 2 * CONTEXT, config.hours * 3600 / library.hop_s
        rng = np.random.default_rng(config.seed)
        tracks = [t for t in library.tracks() if t.count >= least]
        mels, prints, taken = [], [], 0
        for done, number in enumerate(rng.permutation(len(tracks))):
            track = tracks[number]
            if taken >= most:
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
            taken += track.count
        if len(mels) < 2:
            raise LibraryError(
                f"{library.path}: at least two tracks of {least * library.hop_s:.0f} s are needed "
                "whose audio files are where they were"
            )
        held = max(1, len(mels) // _HELD_OUT)
        self.held_out = list(zip(mels[:held], prints[:held], strict=True))
        self.mels, self.prints = mels[held:], prints[held:]
        self.hours = taken * library.hop_s / 3600
        counts = np.array([len(p) - least + 1 for p in self.prints], np.float64)
        self._share = counts / counts.sum()

    def draw(self, seed: int, step: int, batch: int) -> tuple[Tensor, Tensor]:
        """Stretches and the fingerprints of their windows but for those at the ends.

        ``[batch, 3, n_mels, frames]`` and ``[batch, windows, dim]``; depends on seed and step only.
        """
        rng = np.random.default_rng([seed, step])
        inputs, wanted = [], []
        for number in rng.choice(len(self.mels), batch, p=self._share):
            mel, prints = self.mels[number], self.prints[number]
            total = self.size + 2 * CONTEXT
            first = int(rng.integers(len(prints) - total + 1))
            begin = first * self.features.hop_frames
            frames = mel[begin : begin + count_frames(total, self.features)].float()
            inputs.append(stretch(frames, self.features))
            wanted.append(prints[first + CONTEXT : first + CONTEXT + self.size].float())
        return torch.cat(inputs), torch.stack(wanted)


def cosine_similarity(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean inner product of fingerprints ``[..., dim]`` with others; silent ones do not count."""
    sounding = wanted.any(dim=-1)
    return (made.float() * wanted).sum(dim=-1)[sounding].mean()


def imitate(
    library: Library,
    features: FeatureConfig,
    config: ImitationConfig,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    on_progress: Callable[[DistillationProgress], None] | None = None,
    on_decode: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Path:
    """Train a network to make the fingerprints that a library has; returns where it is.

    ``features`` are those of the network that made them. In ``out`` are then
    ``encoder.safetensors`` (to use), ``state.safetensors`` (to resume) and ``config.json``.
    ``stop`` is asked before every step; on True the state is saved and training ends early.

    Raises LibraryError as :class:`DistillationData` does, FileExistsError if ``out`` holds a run
    and ``resume`` is False, CheckpointError for a state that does not fit.
    """
    state = out / "state.safetensors"
    if resume and not state.exists():
        raise FileNotFoundError(f"{out}: nothing to resume there")
    if state.exists() and not resume:
        raise FileExistsError(f"{out} holds a run already; use --resume, or another --out")
    out.mkdir(parents=True, exist_ok=True)
    data = DistillationData(library, features, config, on_decode)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = build("sliding", config.encoder_options)
    encoder = encoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        encoder.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    first = _resume(state, encoder, optimiser) if resume else 0
    (out / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n")
    kind = torch.device(device)
    autocast = torch.autocast(kind.type, torch.bfloat16, enabled=faster_in_bf16(kind))

    def save(step: int, held_out: float | None) -> None:
        slots, rest = checkpoint.pack_optimiser(optimiser)
        tensors = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
        tensors |= {f"optimiser.{k}": v for k, v in slots.items()}
        header = {"format": checkpoint.FORMAT, "kind": "imitation", "step": step, "optimiser": rest}
        checkpoint.write(state, tensors, header)
        checkpoint.save_encoder(out / "encoder.safetensors", encoder, features, {
            "imitates": library.model_id, "config": asdict(config), "steps_done": step,
            "hours": data.hours, "tracks": len(data.mels), "held_out_likeness": held_out,
        })  # fmt: skip

    recent, held_out, began = 0.0, None, time.monotonic()
    for step in range(first, config.steps):
        if stop and stop():
            save(step, held_out)
            return state
        for group in optimiser.param_groups:
            group["lr"] = _rate(step, config)
        inputs, wanted = (t.to(device) for t in data.draw(config.seed, step, config.batch))
        with autocast:
            made = encoder(inputs)[:, CONTEXT:-CONTEXT]
        alike = cosine_similarity(made, wanted)
        optimiser.zero_grad()
        (1 - alike).backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        share = min(_SMOOTHED, (step - first) / (step - first + 1))
        recent = share * recent + (1 - share) * float(alike.detach())
        done = step + 1
        if done % config.save_every == 0 or done == config.steps:
            with autocast:
                held_out = _held_out(encoder, data, device)
            save(done, held_out)
        if on_progress:
            pace = (time.monotonic() - began) / (done - first)
            on_progress(DistillationProgress(done, config.steps, recent, held_out, pace))
    return out / "encoder.safetensors"


def _rate(step: int, config: ImitationConfig) -> float:
    """A cosine from one learning rate to the other, after a linear warm-up."""
    fall = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    rate = config.final_learning_rate + fall * (config.learning_rate - config.final_learning_rate)
    return rate * min(1.0, (step + 1) / config.warmup_steps)


@torch.no_grad()
def _held_out(encoder: nn.Module, data: DistillationData, device: str) -> float:
    """The cosine_similarity of fingerprints of the tracks that are not learned from."""
    encoder.eval()
    made, wanted = [], []
    for mel, prints in data.held_out:
        frames = mel[: count_frames(len(prints), data.features)].float()
        made.append(encoder(stretch(frames, data.features).to(device))[0].cpu())
        wanted.append(prints.float())
    encoder.train()
    return float(cosine_similarity(torch.cat(made), torch.cat(wanted)))


def _resume(state: Path, encoder: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    tensors, header = checkpoint.read(state)
    if header.get("kind") != "imitation":
        raise errors.CheckpointError(f"{state}: not the state of an imitation")
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}, "optimiser": {}}
    for key, value in tensors.items():
        kind, name = key.split(".", 1)
        parts[kind][name] = value
    encoder.load_state_dict(parts["encoder"])
    checkpoint.unpack_optimiser(optimiser, parts["optimiser"], header["optimiser"])
    return int(header["step"])
