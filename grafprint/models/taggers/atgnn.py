"""ATGNN: a graph neural network for audio tagging (Singh et al., IEEE SPL 2024)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models.graph import (
    FFN,
    begin_near_identity,
    downsample,
    initialise,
    pointwise,
    to_map,
    to_nodes,
)
from grafprint.models.taggers.config import ATGNNConfig
from grafprint.models.taggers.graphs import Recorder, TaggingGraphs
from grafprint.models.taggers.labels import LabelBlock
from grafprint.models.taggers.patches import PatchBlock, stem


class ATGNN(nn.Module):
    """Log-mel spectrograms ``[B, F, T]`` of any length to logits ``[B, S]`` of ``S`` labels.

    A stem turns the spectrogram into patch nodes, which stages of patch blocks (PGN) refine, with
    a strided convolution between stages. Label nodes begin as learned embeddings; label blocks
    (MLG) update them from the patches and from each other. The logits are the sum of what the
    pooled patches and what the label nodes say (Eq. 7 to 9); their sigmoid is a probability.

    The work grows with the square of the length: cut what is longer than a minute into clips.
    """

    def __init__(self, config: ATGNNConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or ATGNNConfig()
        self.stem = stem(c.widths[0], c.stem_halvings)
        rows, columns = (-(-size >> c.stem_halvings) for size in c.input_shape)  # rounded up
        self.position = nn.Parameter(torch.zeros(1, c.widths[0], rows, columns))
        self.down = nn.ModuleList(downsample(a, b) for a, b in pairwise(c.widths))
        self.stages, self.ffns = nn.ModuleList(), nn.ModuleList()
        total, number = sum(c.depths), 0
        for depth, width, pool in zip(c.depths, c.widths, c.key_pooling, strict=True):
            blocks, ffns = nn.ModuleList(), nn.ModuleList()
            for _ in range(depth):
                share = number / max(1, total - 1)
                k = int(c.k + share * (c.last_k - c.k))
                dilation = min(number // 4 + 1, c.most_dilation)
                rate = c.drop_path * share
                blocks.append(
                    PatchBlock(width, k, dilation, c.groups, rate, pool, c.relative_position)
                )
                ffns.append(FFN(width, c.ffn_expansion, rate))
                number += 1
            self.stages.append(blocks)
            self.ffns.append(ffns)
        self.patch_head = nn.Sequential(  # Conv_p of Eq. 7
            *pointwise(c.widths[-1], c.hidden_width),
            nn.GELU(),
            nn.Conv2d(c.hidden_width, c.labels, 1),
        )
        if c.label_stage is not None:
            self._add_label_nodes(c.label_stage)
        initialise(self)
        begin_near_identity(self)

    def _add_label_nodes(self, first: int) -> None:
        c = self.config
        self.label_stages = nn.ModuleList(
            nn.ModuleList(
                LabelBlock(c.labels, width, c.label_k, c.groups, c.ffn_expansion, c.drop_path)
                for _ in range(number)
            )
            for number, width in zip(c.label_blocks, c.widths, strict=True)
        )
        # Labels are as wide as the patches of their stage.
        self.label_widen = nn.ModuleList(pointwise(a, b) for a, b in pairwise(c.widths[first:]))
        self.label_embeddings = nn.Parameter(0.02 * torch.randn(c.labels, c.widths[first]))
        bound = c.widths[-1] ** -0.5
        self.readout = nn.Parameter(torch.empty(c.labels, c.widths[-1]).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, S]``, in float32, of spectrograms ``x [B, F, T]``.

        Raises ValueError if ``x`` has no frames, or not the network's number of mel bins.
        """
        patch_logits, label_logits, _ = self._run(x, None)
        return patch_logits if label_logits is None else patch_logits + label_logits

    def forward_with_graphs(self, x: Tensor) -> tuple[Tensor, TaggingGraphs]:
        """Logits, and the graphs that were used to compute them."""
        recorder = Recorder(self.config.stem_halvings)
        patch_logits, label_logits, patches = self._run(x, recorder)
        graphs = TaggingGraphs(
            recorder.patch_graphs, recorder.label_graphs, patch_logits, label_logits, patches
        )
        return patch_logits if label_logits is None else patch_logits + label_logits, graphs

    def patch_logits(self, pooled: Tensor) -> Tensor:
        """The patch term of the logits ``[n, S]`` (Eq. 7) of pooled patches ``[n, C]``."""
        logits: Tensor = self.patch_head(pooled[:, :, None, None])
        return logits.flatten(1).float()

    def _run(self, x: Tensor, recorder: Recorder | None) -> tuple[Tensor, Tensor | None, Tensor]:
        bins = self.config.input_shape[0]
        if x.ndim != 3 or x.shape[1] != bins or not x.shape[2]:
            raise ValueError(f"spectrograms are [B, {bins}, T], not {list(x.shape)}")
        x = self.stem(x[:, None].contiguous(memory_format=torch.channels_last))
        x = x + self._position(x.shape[3]).to(x.dtype)
        labels: Tensor | None = None
        for stage in range(len(self.stages)):
            if stage:
                x = self.down[stage - 1](x)
            labels = self._widen_labels(labels, stage, len(x))
            for number, (block, ffn) in enumerate(zip(*self._patch_blocks(stage), strict=True)):
                y = recorder.run_patch_block(block, x, stage, number) if recorder else block(x)[0]
                x = ffn(y)
                for label_number, label_block in self._due(stage, number):
                    labels, graph = label_block(labels, to_nodes(x))
                    if recorder:
                        recorder.add_label_block(label_block, graph, x, stage, label_number)
        patch_logits = self.patch_logits(x.float().mean(dim=(2, 3)))
        if labels is None:
            return patch_logits, None, x
        label_logits = (to_nodes(labels).float() * self.readout).sum(dim=-1)  # Eq. 8
        return patch_logits, label_logits, x

    def _patch_blocks(self, stage: int) -> tuple[Iterable[PatchBlock], Iterable[FFN]]:
        blocks, ffns = self.stages[stage], self.ffns[stage]
        return cast(Iterable[PatchBlock], blocks), cast(Iterable[FFN], ffns)

    def _position(self, columns: int) -> Tensor:
        """The learned position embeddings of the first columns; stretched, if there are more."""
        known = self.position
        if columns <= known.shape[3]:
            return known[..., :columns]
        return F.interpolate(known, (known.shape[2], columns), mode="bilinear")

    def _widen_labels(self, labels: Tensor | None, stage: int, batch: int) -> Tensor | None:
        """The labels ``[B, C, S, 1]`` at the beginning of a stage; None before they enter."""
        first = self.config.label_stage
        if first is None or stage < first:
            return None
        if labels is None:
            embeddings = self.label_embeddings.expand(batch, -1, -1)
            return to_map(embeddings, embeddings.shape[1], 1)
        widened: Tensor = self.label_widen[stage - first - 1](labels)
        return widened

    def _due(self, stage: int, number: int) -> list[tuple[int, LabelBlock]]:
        """The label blocks, and their numbers, that follow a patch block."""
        c = self.config
        if c.label_stage is None:
            return []
        blocks = list(enumerate(cast(Iterable[LabelBlock], self.label_stages[stage])))
        if c.interleaved:
            return blocks[number : number + 1]
        return blocks if number == c.depths[stage] - 1 else []
