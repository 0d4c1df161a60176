"""The transformer baselines: the AST variant of the GraFPrint paper, and one that learns buckets.

Section III-D of the paper: an audio spectrogram transformer with temporal patches, each the whole
spectrum of a tenth of a second, as in Singh et al. (2023). The second also learns hash buckets
that its fingerprints fill evenly; the first is searched with random buckets or with IVF-PQ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models.encoders.base import Encoder
from grafprint.models.features import FeatureConfig

# 25 ms windows every 10 ms: 1 s is 64 x 100, and the hop is ten frames, 100.6 ms.
FEATURES = FeatureConfig(n_fft=400, hop_length=161, window_frames=100, hop_frames=10)


@dataclass(frozen=True)
class TransformerConfig:
    """Dimensions of the encoder; the defaults give the baseline's 45 M parameters."""

    input_shape: tuple[int, int] = (64, 100)  # mel bins x frames
    patch_frames: int = 10
    width: int = 640
    depth: int = 8
    heads: int = 10
    mlp_expansion: int = 4
    pooled_width: int = 1024
    hidden_width: int = 4096
    dim: int = 128


@dataclass(frozen=True)
class HashTransformerConfig(TransformerConfig):
    """:class:`TransformerConfig` with a hash layer."""

    buckets: int = 256
    hash_temperature: float = 0.1
    hash_weight: float = 1.0


class Transformer(Encoder):
    """Windows ``[n, 3, 64, 100]`` to fingerprints ``[n, 128]``; only the amplitudes are used.

    Ten tokens of ten frames and a class token pass through pre-norm transformer layers; the class
    token is projected as GraFPrint's pooled nodes are.
    """

    config: TransformerConfig
    default: ClassVar[type[TransformerConfig]] = TransformerConfig

    def __init__(self, config: TransformerConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or self.default()
        self.dim = c.dim
        bins, frames = c.input_shape
        tokens, rest = divmod(frames, c.patch_frames)
        if rest:
            raise ValueError(f"{frames} frames cannot be cut into {c.patch_frames}-frame patches")
        self.patch = nn.Linear(bins * c.patch_frames, c.width)
        self.first = nn.Parameter(torch.zeros(1, 1, c.width))
        self.place = nn.Parameter(torch.zeros(1, tokens + 1, c.width))
        # Built one by one: nn.TransformerEncoder would start all layers with equal weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                c.width,
                c.heads,
                c.mlp_expansion * c.width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(c.depth)
        )
        self.norm = nn.LayerNorm(c.width)
        self.head = nn.Sequential(
            nn.Linear(c.width, c.pooled_width),
            nn.Linear(c.pooled_width, c.hidden_width),
            nn.ELU(),
            nn.Linear(c.hidden_width, c.dim),
        )
        for parameter in (self.first, self.place):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]``, L2-normalised, of windows ``x [n, 3, F, T]``."""
        c = self.config
        n, _, bins, frames = x.shape
        patches = x[:, 2].reshape(n, bins, frames // c.patch_frames, c.patch_frames)
        tokens = self.patch(patches.transpose(1, 2).flatten(2))
        tokens = torch.cat([self.first.expand(n, -1, -1).to(tokens.dtype), tokens], dim=1)
        tokens = tokens + self.place
        for layer in self.layers:
            tokens = layer(tokens)
        return F.normalize(self.head(self.norm(tokens[:, 0])).float(), dim=-1)


class HashTransformer(Transformer):
    """The transformer with a balanced hash layer, trained together (Singh et al., 2023).

    ``buckets [K, dim]`` are directions; a fingerprint belongs to the closest one. They are the
    coarse quantiser of the index.
    """

    config: HashTransformerConfig
    default = HashTransformerConfig

    def __init__(self, config: HashTransformerConfig | None = None) -> None:
        super().__init__(config)
        self.buckets = nn.Parameter(torch.randn(self.config.buckets, self.config.dim))

    def bucket_centres(self) -> Tensor:
        """Unit vectors ``[K, dim]``, one per bucket."""
        return F.normalize(self.buckets.float(), dim=-1)

    def auxiliary_loss(self, a: Tensor, b: Tensor) -> Tensor:
        """The loss of predicting, from each view, the bucket that the other view is assigned."""
        c = self.config
        centres = self.bucket_centres()
        scores = [z.float() @ centres.T for z in (a, b)]
        targets = [balanced_assignment(s.detach()) for s in scores]
        losses = [
            F.cross_entropy(score / c.hash_temperature, target)
            for score, target in zip(scores, reversed(targets), strict=True)
        ]
        return c.hash_weight * (losses[0] + losses[1]) / 2


@torch.no_grad()
def balanced_assignment(scores: Tensor, sharpness: float = 20.0, rounds: int = 20) -> Tensor:
    """Assign ``N`` rows softly to ``K`` buckets so that all buckets get equal shares: ``[N, K]``.

    Entropy-regularised optimal transport by Sinkhorn's iteration, from ``scores [N, K]`` (cosine
    similarities). Rows of the result sum to 1, columns to about N / K.
    """
    plan = (scores.float() * sharpness).softmax(dim=1)
    for _ in range(rounds):
        plan = plan / plan.sum(dim=0, keepdim=True).clamp_min(1e-12)
        plan = plan / plan.sum(dim=1, keepdim=True).clamp_min(1e-12)
    return plan
