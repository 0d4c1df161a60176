"""Encode real music in any format, and compare recordings with it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray
from scipy.signal import resample_poly

from tests.paths import ASSETS

MUSIC = sorted((ASSETS / "music").glob("*.opus"))
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def music(duration_s: float, rate_hz: int, channels: int = 1) -> NDArray[np.float32]:
    """A piece of a bundled track, float32 [n, channels]; each channel is another part of it."""
    with av.open(str(MUSIC[0])) as container:
        frames = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
    track = np.concatenate(frames)[10 * 48_000 :]  # mono at 48 kHz; its first seconds are quiet
    n = round(duration_s * 48_000)
    parts = track[: n * channels].reshape(channels, n).T
    common = np.gcd(48_000, rate_hz)
    resampled = resample_poly(parts, rate_hz // common, 48_000 // common)
    return np.asarray(resampled, np.float32).clip(-1, 1)


def write(
    path: Path,
    samples: NDArray[np.float32],
    rate_hz: int,
    codec: str,
    *,
    video: bool = False,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Encode float samples, [n] or [n, channels], with FFmpeg; the suffix selects the container."""
    samples = samples.reshape(len(samples), -1).astype(np.float32)
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate_hz)
        assert isinstance(stream, AudioStream)
        stream.layout = LAYOUTS[samples.shape[1]]
        if codec in ("vorbis", "libmp3lame", "aac", "libopus", "wmav2"):
            stream.bit_rate = 96_000 * samples.shape[1]
        if codec == "vorbis":
            stream.options = {"strict": "experimental"}
        if video:
            write_pictures(container, len(samples) / rate_hz)
        for start in range(0, len(samples), rate_hz):
            piece = np.ascontiguousarray(samples[start : start + rate_hz].reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(piece, "flt", stream.layout)
            frame.sample_rate, frame.pts = rate_hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_pictures(container: av.container.OutputContainer, duration_s: float) -> None:
    """Add a video track of grey frames, one per second."""
    stream = container.add_stream("mpeg4", 25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for second in range(round(duration_s)):
        picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8))
        picture.pts, picture.time_base = second, Fraction(1)
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def best_lag(recording: NDArray[np.float32], source: NDArray[np.float32]) -> tuple[int, float]:
    """The delay in samples at which two recordings agree best, and the correlation there."""
    n = 1 << (len(recording) + len(source)).bit_length()
    spectrum = np.fft.rfft(recording, n) * np.conj(np.fft.rfft(source, n))
    lag = int(np.argmax(np.fft.irfft(spectrum, n)))
    lag = lag - n if lag > n // 2 else lag
    a, b = recording[max(0, lag) :], source[max(0, -lag) :]
    overlap = min(len(a), len(b))
    return lag, float(np.corrcoef(a[:overlap], b[:overlap])[0, 1])
