"""A map with its points' tracks, seconds and colours, for the canvas, files and tables."""

from __future__ import annotations

import base64
import csv
import io
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from grafprint.explore import atlas
from grafprint.explore.library_map import Map, Placer
from grafprint.library import Track
from grafprint.remote.opening import AnyLibrary

BY = ("track", "artist", "sound", "time", "density")  # what the colours can show
SHADES = 256  # for the time in a track, and the density


@dataclass(frozen=True, eq=False)
class Chart:
    """The map of a library, with the tracks and colours of its points."""

    library: AnyLibrary
    drawn: Map

    @cached_property
    def tracks(self) -> list[Track]:
        """The tracks that have points, in the order of their points."""
        ids, first = np.unique(self._owners, return_index=True)
        return [self.library.track(int(ids[i])) for i in np.argsort(first)]

    @cached_property
    def track(self) -> np.ndarray:
        """For each point, the index of its track in :attr:`tracks`: int64 [p]."""
        # Rows are in order, so the points of a track are contiguous.
        return np.cumsum(np.diff(self._owners, prepend=self._owners[:1]) != 0)

    @cached_property
    def hops(self) -> np.ndarray:
        """For each point, its position in its track in hops: int64 [p]."""
        return self.drawn.rows - self.library.spans(self.drawn.rows)[1]

    @cached_property
    def artist(self) -> np.ndarray:
        """For each of :attr:`tracks`, a number for its artist, in order of appearance: int64."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(t.artist, len(numbers)) for t in self.tracks])

    @cached_property
    def sounds(self) -> list[str]:
        """What each of :attr:`tracks` sounds like, unlike the others; '' if it was not tagged."""
        return atlas.sounds(self.library, self.tracks)

    @cached_property
    def sound(self) -> np.ndarray:
        """For each of :attr:`tracks`, a number for its sound, in order of appearance: int64."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(sound, len(numbers)) for sound in self.sounds])

    @cached_property
    def density(self) -> np.ndarray:
        """For each point, how crowded its place is, as an index of :func:`shades`: uint8 [p]."""
        return np.round(atlas.density(self.drawn.xy) * (SHADES - 1)).astype(np.uint8)

    @cached_property
    def regions(self) -> list[list[atlas.Region]]:
        """The named regions, from the overview to the details."""
        return atlas.name_regions(self.library, self.drawn)

    @cached_property
    def placer(self) -> Placer:
        """Places clips on this map."""
        return Placer(self.library, self.drawn)

    def colours(self, by: str) -> np.ndarray:
        """The colour of each point, uint8 ``[p, 3]``; ``by`` is one of :data:`BY`."""
        if by == "time":
            counts = np.array([t.count for t in self.tracks])
            return shades()[self.hops * SHADES // counts[self.track]]
        if by == "density":
            return shades()[self.density]
        numbers = np.arange(len(self.tracks))
        if by in ("artist", "sound"):
            numbers = self.artist if by == "artist" else self.sound
        return palette(int(numbers.max()) + 1)[numbers][self.track]

    @cached_property
    def text(self) -> str:
        """The data for the canvas as JSON; arrays in base64, little-endian."""
        tracks = [
            [t.id, t.title, t.artist, int(n), t.count, t.album]
            for t, n in zip(self.tracks, np.bincount(self.track), strict=True)
        ]
        return json.dumps({
            "hop": self.library.hop_s,
            "tracks": tracks,
            "artist": self.artist.tolist(),
            "sound": self.sound.tolist(),
            "sounds": self.sounds,
            "xy": _code(np.round(self.drawn.xy * 65_535).astype("<u2")),
            "hops": _code(self.hops.astype("<u4")),
            "density": _code(self.density),
            "regions": [
                [[round(r.x, 4), round(r.y, 4), r.points, r.kind, r.name] for r in level]
                for level in self.regions
            ],
            "palette": _code(palette(len(tracks))),
            "shades": _code(shades()),
        })  # fmt: skip

    def table(self) -> str:
        """The points as CSV."""
        lines = io.StringIO()
        writer = csv.writer(lines)
        writer.writerow(["x", "y", "track", "artist", "second", "sound"])
        points = zip(self.drawn.xy, self.track, self.hops, strict=True)
        for (x, y), number, hop in points:
            track, second = self.tracks[number], hop * self.library.hop_s
            writer.writerow(
                [
                    f"{x:.5f}",
                    f"{y:.5f}",
                    track.title,
                    track.artist,
                    f"{second:.2f}",
                    self.sounds[number],
                ]
            )
        return lines.getvalue()

    @cached_property
    def _owners(self) -> np.ndarray:
        return self.library.track_of(self.drawn.rows)


def palette(count: int) -> np.ndarray:
    """Distinct colours, uint8 ``[count, 3]``; a larger count only adds colours.

    All are visible on both white and black.
    """
    number = np.arange(count)
    # Steps of the golden angle keep each hue away from the earlier ones.
    hue = 2 * np.pi * (0.55 + number * (np.sqrt(5) - 1) / 2)
    return _srgb(np.array([0.66, 0.56, 0.61])[number % 3], 0.16, hue)


def shades() -> np.ndarray:
    """Colours from blue (a track's beginning) to orange (its end), uint8 ``[SHADES, 3]``."""
    hue = np.radians(np.linspace(265, 55, SHADES))
    return _srgb(np.linspace(0.55, 0.68, SHADES), 0.14, hue)


def _srgb(lightness: np.ndarray, chroma: float, hue: np.ndarray) -> np.ndarray:
    """Convert from the perceptually uniform OKLCH (https://bottosson.github.io/posts/oklab/)."""
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    lms = np.stack([
        lightness + 0.3963377774 * a + 0.2158037573 * b,
        lightness - 0.1055613458 * a - 0.0638541728 * b,
        lightness - 0.0894841775 * a - 1.2914855480 * b,
    ])  # fmt: skip
    mix = np.array([
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ])  # fmt: skip
    linear = np.clip(mix @ lms**3, 0, 1).T
    gamma = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * gamma).astype(np.uint8)


def _code(numbers: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()
