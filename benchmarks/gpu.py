"""Speed of the released network on a GPU: python -m benchmarks.gpu [--device cuda]

Segments per second in bf16, as it is and compiled, with the share of the device's rate of large
matrix products in bf16 in the same run; the similarity of its fingerprints to the CPU's; neighbour
search and gathering with the kernels of triton_kernels.py and without; pairs per second in training
with the published batch; and, if FAISS was built for GPUs, the time to build an index of synthetic
fingerprints with and without GPUs, and how many nearest neighbours agree. On a machine without a
GPU, --device cpu runs the same code.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import faiss
import numpy as np
import torch
from torch import Tensor

from benchmarks.encoding import music, operations_of
from benchmarks.shared import common
from grafprint.fingerprint import Fingerprinter
from grafprint.library.index import row_index
from grafprint.models import graph
from grafprint.models.fast.precision import computes_bf16
from grafprint.training import Progress, train
from grafprint.training.config import config_of

MUSIC = common.ROOT / "assets" / "music"
FORWARD_BACKWARD = 3  # cost of a training step, in forward passes


def seconds(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Median seconds of ``work`` on the device, after two runs to warm up."""
    times = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


def precision(device: torch.device) -> torch.dtype:
    """bfloat16, or float32 on a CPU that would emulate bfloat16."""
    return torch.bfloat16 if computes_bf16(device) else torch.float32


def peak(device: torch.device, rounds: int, size: int) -> float:
    """Operations per second in products of ``size`` x ``size`` matrices."""
    a, b = (torch.randn(size, size, device=device, dtype=precision(device)) for _ in range(2))
    return 2 * size**3 / seconds(lambda: a @ b, device, rounds)


def encoding(device: torch.device, args: argparse.Namespace, peak: float) -> dict[str, Any]:
    """Segments per second, and cosine similarity to the CPU's fingerprints in float32."""
    reference = Fingerprinter.load(precision="fp32")
    windows = music(reference, args.batch)
    expected = reference.encode(windows)
    network = Fingerprinter.load(device=device)
    operations = operations_of(reference.encoder, windows[:1])
    inputs = windows.to(device)

    def run(encoder: Callable[[Tensor], Tensor]) -> Tensor:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=computes_bf16(device)),
        ):
            return encoder(inputs)

    ways = {"as it is": network.encoder}
    if args.compile:
        ways["compiled"] = torch.compile(network.encoder, dynamic=False)
    rows = {}
    for name, encoder in ways.items():
        cosines = (run(encoder).float().cpu() * expected).sum(dim=1)
        rate = len(windows) / seconds(lambda e=encoder: run(e), device, args.rounds)  # type: ignore[misc]
        rows[name] = {
            "segments_per_s": rate,
            "times_real_time": rate * network.hop_s,
            "share_of_peak": rate * operations / peak,
            "least_cosine_to_cpu": float(cosines.min()),
            "mean_cosine_to_cpu": float(cosines.mean()),
        }
    return {"operations_per_segment": operations, "encoding": rows}


def layers(device: torch.device, segments: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds for the graphs of the first stage, with the fused kernels and with PyTorch."""
    nodes = torch.randn(segments, 512, 64, device=device, dtype=precision(device))
    neighbours = graph.knn(nodes, 3).neighbours
    learning = nodes.clone().requires_grad_()

    def gathered() -> None:
        graph.max_relative(learning, neighbours).sum().backward()

    rows: dict[str, dict[str, float]] = {}
    ways = {"fused": graph._KERNELS, "plain": None} if graph._KERNELS else {"plain": None}
    for name, kernels in ways.items():
        with mock.patch.object(graph, "_KERNELS", kernels):
            rows[name] = {
                "neighbours_ms": 1e3 * seconds(lambda: graph.knn(nodes, 3), device, rounds),
                "maxima_and_gradients_ms": 1e3 * seconds(gathered, device, rounds),
            }
    return rows


def training(device: torch.device, args: argparse.Namespace) -> dict[str, float]:
    """Pairs per second in a short run on the bundled music."""
    config = config_of({
        "steps": args.steps, "batch": args.training_batch, "compile": args.compile,
        "segments_per_track": max(1, args.training_batch // 16), "save_every": args.steps,
    })  # fmt: skip
    paces: list[float] = []

    def on_progress(progress: Progress) -> None:
        paces.append(progress.seconds_per_step)

    with tempfile.TemporaryDirectory() as folder:
        train(config, MUSIC, Path(folder), accelerator="gpu" if device.type == "cuda" else "cpu",
              devices=1, report_every=max(1, args.steps // 4), on_progress=on_progress)  # fmt: skip
    return {"batch": config.batch, "pairs_per_s": config.batch / statistics.median(paces[1:])}


def indexing(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds to train and fill an index, and the share of nearest neighbours equal on GPUs."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((args.fingerprints, 128), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    factory = row_index.choose_factory(len(vectors))
    if factory == row_index.EXACT:  # too few to need one
        factory = row_index.coded(16)

    def build() -> tuple[float, np.ndarray]:
        stamp = row_index.IndexState("", 0, len(vectors), 0, factory)
        began = time.perf_counter()
        index = row_index.RowIndex.train(
            128, stamp, vectors[: row_index.training_size(factory, 128, len(vectors))]
        )
        with index.filling():
            index.add(np.arange(len(vectors)), vectors)
        return time.perf_counter() - began, index.search(vectors[:1000], 1)[1]

    with mock.patch.object(faiss, "get_num_gpus", lambda: 0):
        seconds, rows = build()
    found: dict[str, Any] = {
        "factory": factory,
        "fingerprints": len(vectors),
        "processor_s": seconds,
    }
    if faiss.get_num_gpus():
        seconds, others = build()
        found |= {"gpus_s": seconds, "same": float((rows == others).mean())}
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=512, help="segments encoded at once")
    parser.add_argument("--training-batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=80, help="of training")
    parser.add_argument("--size", type=int, default=8192, help="of the matrices of the peak")
    parser.add_argument("--fingerprints", type=int, default=2_000_000, help="of the index")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    args = parser.parse_args()
    if args.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that PyTorch can use; try --device cpu")
    device = torch.device(args.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
    fastest = peak(device, args.rounds, args.size)
    found = encoding(device, args, fastest)
    found["layers"] = layers(device, args.batch, args.rounds)
    trained = training(device, args)
    share = (
        FORWARD_BACKWARD * 2 * trained["pairs_per_s"] * found["operations_per_segment"] / fastest
    )
    found |= {"device": name, "peak_tflops": fastest / 1e12,
              "training": trained | {"share_of_peak": share}, "index": indexing(args)}  # fmt: skip
    print(found)
    common.write("gpu", found)


if __name__ == "__main__":
    main()
