"""A map as an atlas: regions where points crowd, named after what their tracks share."""

import numpy as np
import pytest

from grafprint.audio.metadata import Tags
from grafprint.explore import atlas, library_map
from grafprint.explore.library_map import Map, Placer
from grafprint.library import Library
from grafprint.library.labels import of_probabilities
from grafprint.library.records import File, Recording
from tests.libraries import Network, fill, unit, walk

COUNT = 60
# Title, artist and album of each track, and the middle of its points on the map.
TRACKS = (
    ("Dawn", "Alice", "Days", (0.2, 0.2)),
    ("Noon", "Alice", "Days", (0.2, 0.2)),
    ("Rain", "Bob", "One", (0.7, 0.2)),
    ("Snow", "Bob", "Two", (0.7, 0.2)),
    ("Left", "Carol", "", (0.2, 0.8)),
    ("Right", "Dave", "", (0.2, 0.8)),
    ("Alone", "", "", (0.8, 0.8)),
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Library, Map]:
    """A library of random vectors, and a map with the tracks' points around given places."""
    rng = np.random.default_rng(1)
    library = Library.create(tmp_path_factory.mktemp("atlas") / "library", Network())
    for number, (title, artist, album, _) in enumerate(TRACKS):
        library.vector_store.append(unit(walk(rng, COUNT) + walk(rng, 1)))
        library.vector_store.sync()
        recording = Recording(
            f"content {number}",
            COUNT * 0.096,
            Tags(title, artist, album, "", ""),
            COUNT,
            library.vector_store.pending_crc32,
        )
        with library.changing() as catalogue:
            catalogue.put(recording, File(f"{number}.wav", 0, 1, 1), None)
            library.vector_store.commit()
    places = np.repeat([middle for *_, middle in TRACKS], COUNT, axis=0)
    xy = (places + rng.normal(0, 0.008, places.shape)).astype(np.float32)
    state = library_map.make(library, lambda share, stage: None).state
    return library, Map(np.arange(len(xy)), xy, state)


def test_points_that_lie_together_are_a_region_and_strays_are_none():
    rng = np.random.default_rng(0)
    xy = np.concatenate(
        [rng.normal((0.3, 0.3), 0.01, (90, 2)), rng.normal((0.6, 0.5), 0.01, (50, 2)), [[0.9, 0.9]]]
    )
    found = atlas.regions(xy, 0.01)
    assert list(np.bincount(found[found >= 0])) in ([90, 50], [50, 90])
    assert len(set(found[:90])) == len(set(found[90:140])) == 1 and found[-1] == -1


def test_a_place_with_more_points_is_denser():
    rng = np.random.default_rng(0)
    xy = np.concatenate([rng.normal((0.3, 0.3), 0.01, (900, 2)), rng.uniform(0, 1, (100, 2))])
    crowd = atlas.density(xy)
    assert crowd.min() == 0 and crowd.max() == 1
    assert crowd[:900].mean() > 0.8 and np.median(crowd[900:]) < 0.3
    assert len(atlas.density(xy[:0])) == 0


def test_regions_are_named_after_what_their_tracks_share(drawn: tuple[Library, Map]):
    overview, _, details = atlas.name_regions(*drawn)
    names = {(region.kind, region.name): region for region in overview}
    # One album; one artist with two albums; two artists; a track without tags.
    assert set(names) == {
        ("album", "Days"),
        ("artist", "Bob"),
        ("track", "Left"),
        ("track", "Right"),
        ("track", "Alone"),
    }
    bob = names["artist", "Bob"]
    assert (bob.x, bob.y) == pytest.approx((0.7, 0.2), abs=0.01) and bob.points > 100
    assert [region.points for region in overview] == sorted(
        (region.points for region in overview), reverse=True
    )
    assert {region.name for region in details} == {title for title, *_ in TRACKS}


def test_the_nearest_passages_are_apart_and_as_similar_as_the_vectors(drawn: tuple[Library, Map]):
    library, mapped = drawn
    placer = Placer(library, mapped)
    vectors = library.vectors(mapped.rows)
    points, similar = placer.nearest(70, count=10, apart_s=1.0)
    assert len(points) == 10 and (np.diff(similar) <= 0).all()
    assert similar == pytest.approx(vectors[points] @ vectors[70], abs=2e-3)
    all_points = [70, *points]
    for i, one in enumerate(all_points):
        for other in all_points[:i]:
            if one // COUNT == other // COUNT:
                assert abs(one - other) * library.hop_s >= 1
    # The first is the nearest of all that are apart from the point.
    allowed = np.abs(np.arange(len(vectors)) - 70) * library.hop_s >= 1
    allowed |= np.arange(len(vectors)) // COUNT != 70 // COUNT
    assert similar[0] == pytest.approx((vectors @ vectors[70])[allowed].max(), abs=2e-3)
    with pytest.raises(IndexError, match="points 0 to 419"):
        placer.nearest(420)


def test_all_passages_are_listed_where_there_are_few(drawn: tuple[Library, Map]):
    points, _ = Placer(*drawn).nearest(0, count=1000, per_track=1, apart_s=5.0)
    assert len(points) == len(TRACKS)  # with the end of its own, 5 s away
    assert sorted(set(points // COUNT)) == list(range(len(TRACKS)))


def test_a_track_sounds_like_what_others_do_not(tmp_path):
    labels: tuple[dict[str, float], ...] = (
        {"Music": 0.99, "Guitar": 0.5, "Piano": 0.3},
        {"Music": 0.98, "Piano": 0.6, "Guitar": 0.1},
        {"Music": 0.9},
        {},
    )
    with Library.create(tmp_path / "library", Network()) as library:
        tracks = fill(library, [unit(walk(np.random.default_rng(n), 5)) for n in range(5)])
        for track, found in zip(tracks, labels, strict=False):
            library.put_labels(track, of_probabilities("a tagger", found))
        # The third is less like music than the others, but like nothing else.
        assert atlas.sounds(library, tracks) == ["Guitar", "Piano", "Music", "", ""]
        assert atlas.sounds(library, tracks[:1]) == ["Music"]  # there are no others
