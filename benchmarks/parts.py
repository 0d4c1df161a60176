"""Where the encoder's time goes, in PyTorch and in the fast version.

    python -m benchmarks.parts

Milliseconds per segment on one thread, by kind of work; medians of --rounds, each of which runs
every variant once.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks.encoding import as_trained, music, precisions
from benchmarks.shared import common
from grafprint.fingerprint import Fingerprinter
from grafprint.models import graph, loops
from grafprint.models.fast import fused_layers
from grafprint.models.fast.grafprint import FastGraFPrint

SEGMENTS = 64
REST = "the rest"
FINDING, GATHERING = "neighbours found", "neighbours gathered"
PRODUCTS, UPDATES = "products", "grouped updates"
CONVOLUTIONS, NORMALISATIONS = "convolutions", "normalisations"
ACTIVATIONS = "activations"
PARTS = (PRODUCTS, UPDATES, CONVOLUTIONS, FINDING, GATHERING, NORMALISATIONS, ACTIVATIONS, REST)


class Clock:
    """Seconds spent in each part, excluding nested parts and time outside of any part."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._stack: list[str] = []
        self._since = 0.0

    def _tell(self) -> None:
        now = time.perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    def wrapped(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted towards the part."""

        def run(*args: Any, **options: Any) -> Any:
            self._tell()
            self._stack.append(part)
            try:
                return function(*args, **options)
            finally:
                self._tell()
                self._stack.pop()

        return run


@contextmanager
def watched(clock: Clock, encoder: nn.Module, fast: FastGraFPrint) -> Iterator[None]:
    """Within the block, both versions of a network report to the clock."""
    with ExitStack() as patches:

        def watch(owner: Any, name: str, part: str) -> None:
            wrapped = clock.wrapped(part, getattr(owner, name))
            patches.enter_context(mock.patch.object(owner, name, wrapped))

        for layer in encoder.modules():
            if isinstance(layer, nn.Conv2d):
                small = layer.kernel_size == (1, 1)
                part = UPDATES if layer.groups > 1 else PRODUCTS if small else CONVOLUTIONS
                watch(layer, "forward", part)
            elif isinstance(layer, nn.Linear):
                watch(layer, "forward", PRODUCTS)
            elif isinstance(layer, nn.BatchNorm2d):
                watch(layer, "forward", NORMALISATIONS)
        watch(graph, "knn", FINDING)
        watch(graph, "max_relative", GATHERING)
        watch(nn.functional, "gelu", ACTIVATIONS)
        for block in (block for stage in fast._stages for block in stage):
            watch(block, "_graph", FINDING)
        watch(fused_layers.Grouped, "__call__", UPDATES)
        watch(fused_layers, "_unit", FINDING)
        watch(loops, "with_maxima", GATHERING)

        for kind, part in (
            (fused_layers.Dense, PRODUCTS),
            (fused_layers.Convolution, CONVOLUTIONS),
        ):
            watch(kind, "__call__", part)
        yield


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    network = Fingerprinter.load()
    windows = music(network, SEGMENTS)
    torch.set_num_threads(1)
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    dtypes = precisions()
    folded_once = {name: FastGraFPrint(network.encoder, dtypes[name]) for name in dtypes}
    for _ in range(args.rounds + 1):
        for name, dtype in dtypes.items():
            fast = folded_once[name]
            ways: dict[str, Callable[[Tensor], Tensor]]
            ways = {"PyTorch": as_trained(network.encoder, dtype), "GraFPrint": fast}
            for way, run in ways.items():
                run(windows)
                clock = Clock()
                with watched(clock, network.encoder, fast):
                    clock.wrapped(REST, run)(windows)
                found.setdefault((way, name), []).append(clock.seconds)
    rows = [
        {"runtime": way, "precision": precision,
         "ms": {part: 1000 * statistics.median(r[part] for r in rounds[1:]) / SEGMENTS
                for part in PARTS}}
        for (way, precision), rounds in found.items()
    ]  # fmt: skip
    for row in rows:
        print(row)
    common.write("parts", {"model_id": network.model_id, "rows": rows})


if __name__ == "__main__":
    main()
