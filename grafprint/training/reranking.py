"""Train the re-ranker of sample identification on the nodes of a trained, frozen encoder.

All random draws of a step follow from (seed, step), and the memory of negatives is saved, so that a
run killed and resumed ends with the weights of an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from grafprint.audio import SAMPLE_RATE
from grafprint.errors import CheckpointError, DataError
from grafprint.fingerprint import Fingerprinter
from grafprint.models.encoders import Samples
from grafprint.models.rerankers import CrossAttention, CrossAttentionConfig, save_reranker
from grafprint.threads import prefetch
from grafprint.training.config import learning_rate_at, save_config
from grafprint.training.loop import (
    Cadence,
    Progress,
    load_state,
    run_loop,
    save_state,
    state_path,
    tensors_under,
)
from grafprint.training.reranking_config import RerankingConfig
from grafprint.training.reranking_data import Memory, NodePairs, PairMaker, draw_negatives
from grafprint.training.reranking_validation import RerankingValidation
from grafprint.training.run import torch_seed
from grafprint.training.sample_pairs import SamplePairs
from grafprint.training.stem_bank import StemBank, StemCrops, stem_banks

_KIND = "reranking"
_SONGS = 3  # at least, so that a query has a reference of another song than the two in it


def train_reranker(
    config: RerankingConfig,
    fingerprinter: Fingerprinter,
    stems: Path,
    out: Path,
    *,
    mixes: str | Path | None = None,
    cache: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_decode: Callable[[int, int], None] | None = None,
    on_step: Callable[[int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    report_every: int = 10,
) -> Path:
    """Train a re-ranker for an encoder and return the path of the finished network.

    Args:
        config: the run; saved beside its results as ``config.json``.
        fingerprinter: the trained encoder, which stays as it is; the run uses its device.
        stems: a table of songs as stems (``python -m assets.stems``). Those of the split ``valid``,
            if there are enough, are for validation.
        out: folder for ``state.safetensors`` (to resume), ``reranker.safetensors`` (to use) and
            ``config.json``.
        mixes, cache, resume, on_progress, on_decode, on_step, stop, report_every: as for
            :func:`grafprint.training.train`.

    Raises:
        CheckpointError: the encoder is not one for samples, or the saved state does not fit.
        DataError: there are fewer than three usable songs, or fewer than the batch needs.
        FileExistsError: ``out`` holds a run and ``resume`` is False.
        FileNotFoundError: ``out`` holds no run and ``resume`` is True.
        DivergedError: the loss or the weights have become infinite or NaN.
    """
    if not isinstance(fingerprinter.encoder, Samples):
        raise CheckpointError(
            "a re-ranker learns with a network of the encoder 'samples': train that first "
            "(grafprint train --encoder samples), and name it with --model"
        )
    state = state_path(out, resume)
    out.mkdir(parents=True, exist_ok=True)
    decoded = cache or out / "cache"
    pairs = SamplePairs(config.samples, fingerprinter.features)
    banks = stem_banks(stems, mixes, decoded, on_decode)
    if (usable := _usable(banks["train"], pairs)) < _SONGS:
        raise DataError(
            f"{stems}: a re-ranker learns from {_SONGS} different songs or more that last "
            f"{pairs.samples / SAMPLE_RATE:.1f} s; there are {usable}"
        )
    crops = _crops(banks["train"], config, pairs, config.batch, config.seed, config.stem_share)
    training = _Reranking(
        config,
        PairMaker(fingerprinter, crops, pairs, config.seed),
        _validation(config, fingerprinter, banks.get("valid"), pairs),
        state,
        on_progress,
        on_step,
    )
    first = training.resume() if resume else 0
    save_config(out / "config.json", config)
    cadence = Cadence(
        config.steps,
        validate_every=config.validate_every,
        report_every=report_every,
        save_every=config.save_every,
    )
    finished = run_loop(training, cadence, out, first, stop)
    return out / "reranker.safetensors" if finished else state


def _usable(bank: StemBank, pairs: SamplePairs) -> int:
    """How many different songs are long enough."""
    long = [n for n in range(len(bank.songs)) if bank.length(n) >= pairs.samples]
    return len({bank.recording_of[n] for n in long})


def _crops(
    bank: StemBank,
    config: RerankingConfig,
    pairs: SamplePairs,
    batch: int,
    seed: int,
    stem_share: float | None,
) -> StemCrops:
    return StemCrops(
        bank,
        batch,
        pairs.samples,
        seed,
        mix_share=config.mix_share,
        cross_song_share=config.cross_song_share,
        stem_share=stem_share,
    )


def _validation(
    config: RerankingConfig, fingerprinter: Fingerprinter, bank: StemBank | None, pairs: SamplePairs
) -> RerankingValidation | None:
    """The same pairs for every run; None if there are not three songs that are held out."""
    if bank is None:
        return None
    usable = _usable(bank, pairs)
    if usable < _SONGS:
        return None
    # Drawn alike: there may be few songs with stems.
    crops = _crops(bank, config, pairs, min(8, usable), seed=0, stem_share=None)
    return RerankingValidation(PairMaker(fingerprinter, crops, pairs, seed=0))


class _Reranking:
    """A re-ranker's training for :func:`run_loop`."""

    def __init__(
        self,
        config: RerankingConfig,
        maker: PairMaker,
        validation: RerankingValidation | None,
        state: Path,
        on_progress: Callable[[Progress], None] | None,
        on_step: Callable[[int], None] | None,
    ) -> None:
        self.config, self.maker, self.validation, self.state = config, maker, validation, state
        self.on_progress, self.on_step = on_progress, on_step
        fingerprinter = maker.fingerprinter
        encoder = fingerprinter.encoder
        assert isinstance(encoder, Samples)
        rows, columns = encoder.grid(len(encoder.config.widths) - 1)
        width = encoder.config.widths[-1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            options = {"nodes_width": width} | config.network
            self.network = CrossAttention(CrossAttentionConfig(**options))
        self.network.to(fingerprinter.device).train()
        self.optimiser = torch.optim.Adam(self.network.parameters(), config.learning_rate)
        self.memory = Memory(config.memory, (rows * columns, width), fingerprinter.dim)
        self.scores: dict[str, float] | None = None

    def batches(self, first: int) -> Iterator[tuple[int, NodePairs]]:
        """Nodes of pairs, prefetched."""
        yield from prefetch((step, self.maker(step)) for step in range(first, self.config.steps))

    def step(self, step: int, batch: NodePairs) -> Tensor:
        """Take one optimiser step; loss and accuracy, [2]."""
        if self.on_step:
            self.on_step(step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(step, self.config)
        device = self.maker.fingerprinter.device
        generator = torch.Generator().manual_seed(torch_seed(self.config.seed, step, 1))
        negatives = draw_negatives(batch, self.memory, self.config, generator)
        self.memory.put(step, batch)
        count = self.config.negatives
        queries = batch.queries.repeat(1 + count, 1, 1).to(device)
        references = torch.cat([batch.references, negatives]).to(device)
        sampled = torch.zeros(len(queries), device=device)
        sampled[: len(batch.queries)] = 1
        judged = self.network(queries, references)
        loss = judged.loss(sampled)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        accuracy = ((judged.logits > 0) == (sampled > 0)).float().mean()
        return torch.stack([loss.detach(), accuracy]).cpu()

    def validate(self, done: int) -> None:
        """Judge held-out pairs, if there are any."""
        if self.validation:
            self.scores = self.validation.scores(self.network)

    def report(self, done: int, figures: list[float], seconds_per_step: float) -> None:
        """Tell the caller."""
        if self.on_progress:
            loss, accuracy = figures
            report = Progress(
                step=done,
                steps=self.config.steps,
                loss=loss,
                accuracy=accuracy,
                learning_rate=learning_rate_at(done - 1, self.config),
                seconds_per_step=seconds_per_step,
                validation=self.scores,
            )
            self.on_progress(report)

    def save(self, done: int) -> None:
        """Write state and network."""
        model_id = self.maker.fingerprinter.model_id
        memory = {f"memory.{name}": value for name, value in self.memory.tensors().items()}
        save_state(
            self.state, _KIND, done, self.network, self.optimiser, memory, {"model_id": model_id}
        )
        facts = {
            "config": asdict(self.config),
            "steps_done": done,
            "songs": len(self.maker.crops.usable),
            "hours": self.maker.crops.bank.cache.hours,
            "validation": self.scores,
        }
        save_reranker(self.state.with_name("reranker.safetensors"), self.network, model_id, facts)

    def resume(self) -> int:
        """Restore the saved state; returns the number of steps done."""
        done, tensors, header = load_state(self.state, _KIND, self.network, self.optimiser)
        if header.get("model_id") != (own := self.maker.fingerprinter.model_id):
            raise CheckpointError(
                f"{self.state}: the run was begun with another encoder ({header.get('model_id')}, "
                f"not {own}): name that one with --model"
            )
        try:
            self.memory.restore(tensors_under(tensors, "memory."))
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"{self.state}: the state does not fit: {error}") from error
        return done
