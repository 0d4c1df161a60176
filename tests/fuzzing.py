"""Feed damaged inputs to the program in a process with limits: ``python -m tests.fuzzing JOB``.

The job is a JSON file: ``{"kind": ..., "files": [...], "numbers": [n, ...], "seed": n}``. Each
case is announced on stdout before it is tried, so that the reader knows which one crashed. The
program may either use a case or raise its own error with a message.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MEMORY = 1 << 30  # address space in addition to what the imports took
CASE_S = 10


def damage(content: bytes, number: int, seed: int) -> bytes:
    """Damage a file in way ``number``.

    The first ways cut it off at each byte of its head. Then it is cut off at random, or bytes are
    overwritten, inserted, removed or flipped, mostly in the head.
    """
    rng = np.random.default_rng((seed, number))
    head = min(600, len(content))
    if number < head:
        return content[:number]
    kind = number % 6
    data = bytearray(content)
    reach = head if rng.random() < 0.7 else len(data)
    at = int(rng.integers(reach))
    size = int(rng.integers(1, 9))
    if kind == 0:
        return content[: int(rng.integers(len(content)))]
    if kind == 1:
        data[at : at + size] = rng.bytes(len(data[at : at + size]))
    elif kind == 2:
        data[at : at + 4] = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"][
            int(rng.integers(4))
        ][: len(data[at : at + 4])]
    elif kind == 3:
        data[at:at] = rng.bytes(size)
    elif kind == 4:
        del data[at : at + size]
    else:
        for _ in range(int(rng.integers(1, 30))):
            data[int(rng.integers(reach))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def audio_case(file: Path, number: int, seed: int, folder: Path) -> None:
    """Read a damaged audio file, its header and its tags."""
    from grafprint import audio
    from grafprint.audio import metadata

    path = folder / f"damaged{file.suffix}"
    path.write_bytes(damage(file.read_bytes(), number, seed))
    metadata.read(path)
    for read in (audio.probe, lambda p: sum(len(c) for c in audio.stream(p, duration_s=60.0))):
        try:
            read(path)
        except audio.AudioError as error:
            assert path.name in str(error)


def network_case(file: Path, number: int, seed: int, folder: Path) -> None:
    """Load a damaged network."""
    from grafprint.errors import CheckpointError
    from grafprint.models.checkpoint import load_encoder

    path = folder / "damaged.safetensors"
    path.write_bytes(damage(file.read_bytes(), number, seed))
    try:
        load_encoder(path)
    except CheckpointError as error:
        assert str(error)


def library_case(file: Path, number: int, seed: int, folder: Path) -> None:
    """Open a library with one damaged file and search it; repair it if it is refused."""
    import shutil

    from grafprint.library import Library, LibraryError
    from grafprint.library.repair import repair

    path = folder / "library"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(file.parent, path)
    (path / file.name).write_bytes(damage(file.read_bytes(), number, seed))
    try:
        with Library.open(path) as library:
            library.search(np.ones((2, library.dim), np.float32), 3)
    except LibraryError as error:
        assert str(error)
        try:
            repair(path)
        except LibraryError as nothing_left:
            assert str(nothing_left)
        else:
            Library.open(path).close()


def array_case(file: Path, number: int, seed: int, folder: Path) -> None:
    """Read samples of any shape, type, rate and value."""
    from grafprint import audio
    from grafprint.models.features import LogMel, stream_windows

    rng = np.random.default_rng((seed, number))
    shape = [(0,), (1,), (700,), (20_000,), (20_000, 2), (3, 70_000), (2, 2, 2), (40_000, 8)]
    values = rng.standard_normal(shape[number % len(shape)]) * 10.0 ** rng.integers(-30, 30)
    if rng.random() < 0.3 and values.size:
        values.flat[rng.integers(values.size)] = [np.nan, np.inf, -np.inf][int(rng.integers(3))]
    kind = [
        np.float32,
        np.float64,
        np.float16,
        np.int16,
        np.int32,
        np.uint8,
        np.bool_,
        np.complex64,
    ]
    rate_hz = int([0, -1, 1, 999, 8000, 16_000, 44_100, 192_000, 10**9][int(rng.integers(9))])
    with np.errstate(all="ignore"):
        samples: np.ndarray = values.astype(kind[int(rng.integers(len(kind)))])
    try:
        mono = audio.from_array(samples, rate_hz)
    except audio.AudioError as error:
        assert str(error)
        return
    assert np.isfinite(mono).all() and mono.ndim == 1
    import torch

    try:
        for inputs, _ in stream_windows([torch.from_numpy(mono)], LogMel()):
            assert torch.isfinite(inputs).all()
    except ValueError as error:  # shorter than a segment
        assert str(error)


CASES: dict[str, Callable[[Path, int, int, Path], None]] = {
    "audio": audio_case,
    "network": network_case,
    "library": library_case,
    "array": array_case,
}


def time_out(*_: Any) -> None:
    """Stop a case that hangs."""
    raise TimeoutError(f"no answer in {CASE_S} s")


def main() -> None:
    """Try the cases of a job."""
    job = json.loads(Path(sys.argv[1]).read_text())
    case = CASES[job["kind"]]
    signal.signal(signal.SIGALRM, time_out)
    with tempfile.TemporaryDirectory() as folder:
        case(Path(job["files"][0]), 10**6, job["seed"], Path(folder))  # imports, before the limit
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for number in job["numbers"]:
            for file in job["files"]:
                print(json.dumps([file, number]), flush=True)
                signal.alarm(CASE_S)
                case(Path(file), number, job["seed"], Path(folder))
                signal.alarm(0)
    print("done", flush=True)


if __name__ == "__main__":
    main()
