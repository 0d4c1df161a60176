"""Speed of the network on this CPU, compared with the CPU's rate of plain matrix products.

    python -m benchmarks.encoding

For the trained network in PyTorch and in grafprint/models/fast/grafprint.py, in both precisions,
and for the encoder that reads a recording once (with random weights): segments per second, times
real time at the library's hop, seconds for a query of 5 s, and the share of the rate of plain
products of the network's sizes on as many threads, measured just before. Each round runs all
variants in turn, so that ratios are reliable even if times vary; medians of --rounds. --compiled
adds PyTorch's compiler, which needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.shared import common
from grafprint import audio, threads
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.models.chunking import CONTEXT, LENGTH, chunk_input
from grafprint.models.encoders.sliding import Sliding
from grafprint.models.fast.grafprint import FastGraFPrint
from grafprint.models.fast.precision import computes_bf16
from grafprint.models.fast.sliding import FastSliding
from grafprint.models.features import count_frames, stream_windows

SEGMENTS = 2 * LENGTH
QUERY = 43  # segments of a query of 5 s
COMPILED = "PyTorch, compiled"
ONCE, FAST_ONCE = "PyTorch, reading once", "GraFPrint, reading once"


def music(fingerprinter: Fingerprinter, segments: int) -> Tensor:
    """``segments`` windows of a bundled track, one per hop."""
    return torch.cat(
        [
            inputs
            for inputs, _ in stream_windows([sound(fingerprinter, segments)], fingerprinter.logmel)
        ]
    )[:segments]


def sound(fingerprinter: Fingerprinter, segments: int) -> Tensor:
    """Samples of a bundled track, enough for ``segments`` windows."""
    with Library.open(common.ROOT / "assets" / "library") as library:
        path = library.audio_path(library.tracks()[0])
        assert path is not None
        seconds = segments * fingerprinter.hop_s + 2
        return torch.from_numpy(audio.load(path, start_s=5, duration_s=seconds))


def reading_once(
    network: Fingerprinter, encode: Callable[[Tensor], Tensor], side_by_side: bool
) -> Callable[[Tensor], object]:
    """A function that fingerprints as many windows of a bundled track as it is given.

    A recording is read in chunks, with the surrounding windows that they need, in parallel if
    ``side_by_side``; a query is one chunk.
    """
    config = network.features
    logmel = network.logmel(sound(network, LENGTH + 2 * CONTEXT))

    def once(count: int) -> Tensor:
        return encode(chunk_input(logmel[: count_frames(count, config)], config))

    def run(windows: Tensor) -> None:
        if len(windows) < SEGMENTS:
            once(len(windows))
            return
        counts = [LENGTH + 2 * CONTEXT] * (SEGMENTS // LENGTH)
        list(threads.side_by_side(once, counts) if side_by_side else map(once, counts))

    return run


def as_trained(encoder: nn.Module, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """A function that runs a network in PyTorch."""

    def run(x: Tensor) -> Tensor:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16),
        ):
            return torch.cat([encoder(part) for part in x.split(64)])

    return run


def operations_of(encoder: nn.Module, inputs: Tensor) -> float:
    """Floating-point operations of a forward pass."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        encoder(inputs)
    return float(counter.get_total_flops())


def products(encoder: nn.Module, inputs: Tensor) -> list[tuple[int, int, int]]:
    """Rows, inputs and outputs of every 1 x 1 convolution and linear layer, for these windows."""
    sizes: list[tuple[int, int, int]] = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        if isinstance(layer, nn.Linear):
            sizes.append((output.shape[0], layer.in_features, layer.out_features))
        elif isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
            rows = output.shape[0] * output.shape[2] * output.shape[3]
            for _ in range(layer.groups):
                sizes.append(
                    (rows, layer.in_channels // layer.groups, layer.out_channels // layer.groups)
                )

    hooks = [layer.register_forward_hook(note) for layer in encoder.modules()]
    with torch.inference_mode():
        encoder(inputs)
    for hook in hooks:
        hook.remove()
    return sizes


def plain(sizes: list[tuple[int, int, int]], dtype: torch.dtype) -> Callable[[], float]:
    """A function that computes all products on every thread and returns operations per second."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=lambda: torch.set_num_threads(1))

    def operands() -> list[tuple[Tensor, Tensor]]:
        return [(torch.randn(m, k).to(dtype), torch.randn(n, k).to(dtype)) for m, k, n in sizes]

    work = [operands() for _ in range(threads)]
    operations = 2.0 * threads * sum(m * k * n for m, k, n in sizes)

    def run(pairs: list[tuple[Tensor, Tensor]]) -> None:
        with torch.inference_mode():
            for x, weight in pairs:
                nn.functional.linear(x, weight)

    def measure() -> float:
        began = time.perf_counter()
        list(pool.map(run, work))
        return operations / (time.perf_counter() - began)

    return measure


def precisions() -> dict[str, torch.dtype]:
    """The CPU's precisions: float32, and bfloat16 if it has instructions for it."""
    found = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return found if computes_bf16(torch.device("cpu")) else {"fp32": found["fp32"]}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--compiled", action="store_true")
    args = parser.parse_args()
    network = Fingerprinter.load()
    windows = music(network, SEGMENTS)
    encoder = network.encoder
    once = Fingerprinter.untrained(encoder="sliding")
    sliding = cast(Sliding, once.encoder)
    frames = count_frames(LENGTH + 2 * CONTEXT, network.features)
    whole = torch.rand(1, 3, network.features.n_mels, frames)
    operations = dict.fromkeys((ONCE, FAST_ONCE), operations_of(sliding, whole) / LENGTH)
    operations |= dict.fromkeys(
        ("PyTorch", COMPILED, "GraFPrint"), operations_of(encoder, windows[:1])
    )
    sizes = products(encoder, windows[:32])

    ways: dict[tuple[str, str], Callable[[Tensor], object]] = {}
    roofs = {}
    for name, dtype in precisions().items():
        roofs[name] = plain(sizes, dtype)
        ways["PyTorch", name] = as_trained(encoder, dtype)
        if args.compiled:
            compiled = cast(nn.Module, torch.compile(encoder, dynamic=False))
            ways[COMPILED, name] = as_trained(compiled, dtype)
        ways["GraFPrint", name] = FastGraFPrint(encoder, dtype)
        ways[ONCE, name] = reading_once(once, as_trained(sliding, dtype), False)
        ways[FAST_ONCE, name] = reading_once(once, FastSliding(sliding, dtype), True)
    times: dict[tuple[str, str, int], list[float]] = {}
    peaks: dict[str, list[float]] = {name: [] for name in roofs}
    shares: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for number in range(args.rounds + 1):
        for way, run in ways.items():
            # The machine's pace changes within seconds: compare with products measured just before.
            peaks[way[1]].append(roofs[way[1]]())
            for segments in (SEGMENTS, QUERY):
                began = time.perf_counter()
                run(windows[:segments])
                times.setdefault((*way, segments), []).append(time.perf_counter() - began)
            rate = SEGMENTS / times[(*way, SEGMENTS)][-1]
            shares[way].append(rate * operations[way[0]] / peaks[way[1]][-1])
        print(f"round {number} of {args.rounds}", flush=True)
    rows = []
    for runtime, precision in ways:
        many, query = (
            statistics.median(times[runtime, precision, n][1:]) for n in (SEGMENTS, QUERY)
        )
        rate = SEGMENTS / many
        rows.append(
            {
                "runtime": runtime,
                "precision": precision,
                "segments_per_s": rate,
                "times_real_time": rate * network.hop_s,
                "query_5s_s": query,
                "gflops": rate * operations[runtime] / 1e9,
                "share_of_plain_products": statistics.median(shares[runtime, precision][1:]),
            }
        )
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()})
    common.write("encoding", {
        "model_id": network.model_id,
        "threads": torch.get_num_threads(),
        "operations_per_segment": operations["GraFPrint"],
        "operations_per_segment_once": operations[ONCE],
        "plain_gflops": {name: statistics.median(found[1:]) / 1e9
                         for name, found in peaks.items()},
        "rows": rows,
    })  # fmt: skip


if __name__ == "__main__":
    main()
