"""The dimensions of ATGNN networks, and the variants by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from grafprint.errors import ConfigError


@dataclass(frozen=True)
class ATGNNConfig:
    """Dimensions of a tagger; the defaults are the paper's ``pyr-s``.

    Each stage has patch blocks (PGN), then label blocks (MLG); ``interleaved`` puts one label
    block after each patch block instead. Tuples have one number for each stage.
    """

    labels: int = 200
    input_shape: tuple[int, int] = (128, 1024)  # mel bins, frames; clips may have any length
    stem_halvings: int = 2  # strided convolutions of the stem, each halves both axes
    depths: tuple[int, ...] = (2, 2, 6, 2)
    widths: tuple[int, ...] = (80, 160, 400, 640)
    key_pooling: tuple[int, ...] = (4, 2, 1, 1)  # neighbours are means over squares of this side
    label_blocks: tuple[int, ...] = (1, 1, 3, 1)  # all zero: no label nodes
    interleaved: bool = False
    k: int = 9  # neighbours of a patch node, in the first block
    last_k: int = 9  # in the last block; linear in between
    label_k: int = 9  # patches that a label node has an edge to
    most_dilation: int = 5
    relative_position: bool = True
    ffn_expansion: int = 4
    groups: int = 4  # groups of channels in the graph convolutions' updates
    drop_path: float = 0.1  # rate of the last block; rises linearly from 0 at the first
    hidden_width: int = 1024  # of the layers from pooled patches to logits

    def __post_init__(self) -> None:
        stages = len(self.depths)
        for name in ("widths", "key_pooling", "label_blocks"):
            if len(getattr(self, name)) != stages:
                raise ConfigError(f"{name} needs {stages} numbers, one for each stage of depths")
        numbers = (*self.depths, *self.widths, *self.key_pooling, *self.input_shape)
        if min(self.labels, self.stem_halvings, self.k, self.last_k, self.label_k, *numbers) < 1:
            raise ConfigError("labels, sizes and numbers of neighbours of a tagger are at least 1")
        if min(self.label_blocks) < 0 or not 0 <= self.drop_path < 1:
            raise ConfigError("label_blocks are not negative, drop_path is from 0 to below 1")
        if any(width % 4 or 2 * width % self.groups for width in self.widths):
            raise ConfigError("widths must be multiples of 4, and twice them of groups")
        if self.interleaved and any(
            labels not in (0, depth)
            for labels, depth in zip(self.label_blocks, self.depths, strict=True)
        ):
            raise ConfigError("interleaved label blocks are as many as the stage's patch blocks")

    @property
    def label_stage(self) -> int | None:
        """The first stage that has label blocks, where the label embeddings enter, or None."""
        return next((stage for stage, n in enumerate(self.label_blocks) if n), None)

    def options(self) -> dict[str, Any]:
        """All settings, for JSON; :func:`config_of` undoes it."""
        return asdict(self)


PYR_S = ATGNNConfig()

# Tables II and III of the paper, and a small one for use: 10 s of the fingerprints' features.
VARIANTS: dict[str, ATGNNConfig] = {
    "iso": ATGNNConfig(
        stem_halvings=4,
        depths=(16,),
        widths=(320,),
        key_pooling=(1,),
        label_blocks=(16,),
        interleaved=True,
        last_k=18,
        most_dilation=10,
        relative_position=False,
    ),
    "pyr-s": PYR_S,
    "pyr-med": replace(
        PYR_S, depths=(2, 2, 16, 2), widths=(96, 192, 384, 768), label_blocks=(1, 1, 6, 1)
    ),
    "small": replace(
        PYR_S,
        labels=120,
        input_shape=(64, 320),
        depths=(2, 2, 4, 2),
        widths=(48, 96, 192, 256),
        label_blocks=(0, 1, 1, 1),
    ),
}


def variant(name: str, *, label_nodes: bool = True, **changes: Any) -> ATGNNConfig:
    """The dimensions of ``iso``, ``pyr-s``, ``pyr-med`` or ``small``, with changes to them.

    Args:
        name: one of ``VARIANTS``.
        label_nodes: False leaves the label blocks out ("-MLG" in the paper's tables).
        changes: fields of :class:`ATGNNConfig`, ``labels`` above all.

    Raises ConfigError for an unknown name or field, or an impossible value.
    """
    if name not in VARIANTS:
        raise ConfigError(f"unknown tagger {name!r}; there are: {', '.join(VARIANTS)}")
    known = {f.name for f in fields(ATGNNConfig)}
    if unknown := sorted(set(changes) - known):
        raise ConfigError(f"a tagger has no option {', '.join(unknown)}")
    options = VARIANTS[name].options() | changes
    if not label_nodes:
        stages = len(options["key_pooling"])
        options |= {"label_blocks": (0,) * stages, "interleaved": False}
    return config_of(options)


def config_of(options: Mapping[str, Any]) -> ATGNNConfig:
    """The configuration with these options; JSON's lists become tuples. Raises ConfigError."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    try:
        return ATGNNConfig(**values)
    except TypeError as error:
        raise ConfigError(f"a tagger cannot have these options: {error}") from error
