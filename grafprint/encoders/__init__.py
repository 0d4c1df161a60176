"""The registry of encoders: a name and a configuration in, a network out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from grafprint.encoders.base import Encoder
from grafprint.encoders.grafprint import GraFPrint, GraFPrintConfig

ENCODERS: dict[str, tuple[type[Encoder], type[Any]]] = {
    "grafprint": (GraFPrint, GraFPrintConfig),
}


def build(name: str, options: Mapping[str, Any] | None = None) -> Encoder:
    """Make the encoder ``name`` with randomly initialised weights.

    Raises ValueError for an unknown name or option, and says which ones exist.
    """
    if name not in ENCODERS:
        raise ValueError(f"unknown encoder {name!r}; there are: {', '.join(sorted(ENCODERS))}")
    network, config = ENCODERS[name]
    options = dict(options or {})
    known = {field.name for field in fields(config)}
    if unknown := set(options) - known:
        raise ValueError(f"encoder {name!r} has no option {', '.join(sorted(unknown))}")
    # JSON has lists where the configurations have tuples.
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    return network(config(**values))


def describe(encoder: Encoder) -> dict[str, Any]:
    """``{"name", "options"}`` of an encoder: what :func:`build` needs to make it again."""
    for name, (network, _) in ENCODERS.items():
        if type(encoder) is network:
            return {"name": name, "options": asdict(encoder.config)}
    raise ValueError(f"{type(encoder).__name__} is not in the registry")


__all__ = ["ENCODERS", "Encoder", "GraFPrint", "GraFPrintConfig", "build", "describe"]
