"""Pairs for sample identification: songs, stems, overlays, and draws that can be repeated."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from assets.stems.songs import Song, write_song, write_table
from grafprint import audio
from grafprint.audio.datasets import DatasetFile
from grafprint.errors import DataError
from grafprint.models.encoders import features_of
from grafprint.models.features import windows
from grafprint.training.sample_pairs import SamplePairs, SamplePairsConfig
from grafprint.training.stem_bank import StemBank, StemCrops, is_stem_table
from tests.libraries import excerpt, write_wav

FEATURES = features_of("samples")
PLAIN = SamplePairsConfig(
    pitch_share=0, stretch_share=0, varispeed_share=0, filter_share=0, compression_share=0,
    offset_s=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> StemBank:
    """Two songs of three stems and one without any."""
    out: Path = tmp_path_factory.mktemp("stems")
    for number in range(2):
        stems = [(str(n), excerpt(number, 10 + 15 * n, 12)) for n in range(3)]
        mix = np.sum([sound for _, sound in stems], axis=0)
        write_song(out, Song(f"song {number}", "package", "train", mix, stems))
    write_song(out, Song("whole", "package", "train", excerpt(2, 20, 12)))
    write_table(out)
    return StemBank(out / "stems.csv", "train", out / "cache")


def crops(bank: StemBank, **options: float | int) -> StemCrops:
    pairs = SamplePairs(SamplePairsConfig(), FEATURES)
    return StemCrops(bank, 3, pairs.samples, 7, **options)  # type: ignore[arg-type]


def test_steps_can_be_repeated_and_differ(bank: StemBank) -> None:
    one = crops(bank)
    assert torch.equal(one[5], crops(bank)[5])
    assert not torch.equal(one[5], one[6])
    assert one[5].shape[:2] == (3, 3)


def test_the_paper_overlays_the_songs_own_other_stems(bank: StemBank) -> None:
    drawn = crops(bank, cross_song_share=0, mix_share=1)
    for step in range(4):
        reference, sample, overlay = drawn[step].unbind(1)
        for row, (song, other) in enumerate(drawn.songs(step).tolist()):
            if bank.songs[song][1]:
                assert other == -1
                rest = reference[row] - sample[row] - overlay[row]
                assert rest.abs().max() < 1e-3  # nothing lost, nothing twice
            else:
                assert other not in (-1, song)
                assert torch.equal(reference[row], sample[row])


def test_other_songs_are_laid_over_and_the_reference_can_be_the_stems_alone(
    bank: StemBank,
) -> None:
    drawn = crops(bank, cross_song_share=1, mix_share=0)
    for step in range(4):
        songs = drawn.songs(step)
        assert (songs[:, 0] != songs[:, 1]).all()
        assert (songs[:, 1] >= 0).all()
        batch = drawn[step]
        assert torch.equal(batch[:, 0], batch[:, 1])
        assert (batch.square().mean(dim=2) > 0).all()


def test_where_one_stem_sounds_it_is_not_laid_over_itself(bank: StemBank, monkeypatch) -> None:
    alone = bank.sounding
    monkeypatch.setattr(bank, "sounding", lambda numbers, *at: alone(numbers, *at)[:1])
    drawn = crops(bank, cross_song_share=0.0)
    others = [other for step in range(20) for _, other, _ in drawn.draw(step)]
    assert len(others) == 60 and -1 not in others


def test_a_batch_larger_than_the_songs_is_refused(bank: StemBank) -> None:
    with pytest.raises(DataError, match="needs 4 songs"):
        StemCrops(bank, 4, 16_000, 0)


def test_a_missing_table_or_split_is_named(bank: StemBank, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"assets\.stems"):
        StemBank(tmp_path / "stems.csv", "train", tmp_path)
    table = bank.cache.sources[0].path.parents[2] / "stems.csv"
    with pytest.raises(DataError, match="split valid"):
        StemBank(table, "valid", tmp_path)


def test_an_unchanged_sample_alone_gives_the_references_view(bank: StemBank) -> None:
    pairs = SamplePairs(PLAIN, FEATURES)
    batch = StemCrops(bank, 3, pairs.samples, 7, mix_share=0)[0]
    batch[:, 2] = 0
    a, b = pairs(batch, torch.Generator().manual_seed(0)).chunk(2)
    assert a.shape == (3, 3, 64, 128)
    # The first and last frames of the query have no music beyond the cut.
    assert (a - b)[..., 2:-2].abs().mean() < 1e-3
    begin = pairs.samples // 2 - FEATURES.window_samples // 2 - pairs.margin
    song = batch[0, 0, begin : begin + FEATURES.window_samples + 2 * pairs.margin]
    skip = pairs.margin // FEATURES.hop_length
    whole = windows(pairs.logmel(song)[skip : skip + 128], FEATURES)
    torch.testing.assert_close(a[:1], whole)


def test_changes_have_their_shares_and_limits() -> None:
    pairs = SamplePairs(SamplePairsConfig(), FEATURES)
    semitones, speed = pairs.draw_changes(4000, torch.Generator().manual_seed(0))
    assert semitones.abs().max() <= 3
    assert 0.7 <= speed.min() < 0.72
    assert 1.48 < speed.max() <= 1.5
    pitched, faster = semitones != 0, speed != 1
    turned = pitched & faster
    torch.testing.assert_close(semitones[turned], 12 * speed[turned].log2(), atol=1e-4, rtol=0)
    shares = [(x.float().mean().item()) for x in (turned, pitched & ~faster, faster & ~pitched)]
    assert shares == pytest.approx([0.35, 0.25, 0.25], abs=0.03)


def test_a_loop_comes_round_again_and_stays_in_place_in_the_middle() -> None:
    config = replace(PLAIN, loop_share=1, loop_s=(1.0, 1.0))
    pairs = SamplePairs(config, FEATURES)
    length = FEATURES.window_samples
    first = pairs.samples // 2 - length // 2
    index = (first + torch.arange(length)).expand(64, -1)
    middle = torch.full((64,), pairs.samples // 2)
    generator = torch.Generator().manual_seed(0)
    looped = pairs.draw_loops(index, middle, pairs.samples, generator)
    assert torch.equal(looped[:, length // 2], middle)
    rate = audio.SAMPLE_RATE
    assert torch.equal(looped[:, rate:], looped[:, :-rate])
    assert ((looped >= 0) & (looped < pairs.samples)).all()
    assert looped.min(dim=1).values.unique().numel() > 32  # it begins at any time
    assert (looped.amax(dim=1) - looped.amin(dim=1) == rate - 1).all()


def test_only_a_share_of_samples_are_loops_and_the_reference_is_none(bank: StemBank) -> None:
    pairs, looping = (
        SamplePairs(replace(PLAIN, level_db=0, loop_share=x), FEATURES) for x in (0, 0.5)
    )
    batch = StemCrops(bank, 3, pairs.samples, 7, mix_share=0)[0].repeat_interleave(20, dim=0)
    (a, plain), (b, loops) = (
        p(batch, torch.Generator().manual_seed(0)).chunk(2) for p in (pairs, looping)
    )
    assert torch.equal(a, b)
    changed = (plain - loops).abs().amax(dim=(1, 2, 3)) > 0.01
    assert 15 < changed.sum() < 45


def test_pairs_follow_from_the_generator(bank: StemBank) -> None:
    pairs = SamplePairs(SamplePairsConfig(), FEATURES)
    batch = crops(bank)[3]
    one, two = (pairs(batch, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.isfinite().all()
    assert not torch.equal(one, pairs(batch, torch.Generator().manual_seed(5)))


def test_songs_can_be_sampled_at_several_places(bank: StemBank) -> None:
    drawn = crops(bank, places=3)
    songs = drawn.songs(2)
    assert len(songs) == 3
    assert len(set(songs[:, 0].tolist())) == 1
    samples = drawn[2][:, 1]
    assert not torch.equal(samples[0], samples[1])
    with pytest.raises(DataError, match="no multiple of 2 places"):
        crops(bank, places=2)


def test_a_batch_can_have_its_share_of_songs_with_stems(bank: StemBank) -> None:
    pairs = SamplePairs(SamplePairsConfig(), FEATURES)
    drawn = StemCrops(bank, 2, pairs.samples, 7, stem_share=0.5)
    for step in range(4):
        kinds = [bool(bank.songs[song][1]) for song in drawn.songs(step)[:, 0].tolist()]
        assert kinds == [True, False]


def test_crops_can_be_of_the_first_seconds_only(bank: StemBank) -> None:
    samples = 4 * audio.SAMPLE_RATE
    early = StemCrops(bank, 1, samples, 7, seconds=4, cross_song_share=0, mix_share=1)
    for step in range(4):
        song = int(early.songs(step)[0, 0])
        mix, _ = bank.songs[song]
        assert torch.equal(early[step][0, 0], torch.from_numpy(bank.total([mix], 0, samples)))


def test_recordings_of_one_track_count_as_one_song(bank: StemBank, tmp_path: Path) -> None:
    table = bank.cache.sources[0].path.parents[2] / "stems.csv"
    files = [write_wav(tmp_path / f"{n}.wav", excerpt(3, 20 + 10 * n, 8)) for n in range(2)]
    mixes = [DatasetFile(file, "one track") for file in files]
    both = StemBank(table, "train", tmp_path, mixes=mixes)
    assert len(both.songs) == 5
    assert both.recording_of == [0, 1, 2, 3, 3]
    drawn = StemCrops(both, 2, 16_000, 0, stem_share=0, cross_song_share=1)
    for step in range(6):
        assert all(song != other for song, other in drawn.songs(step).tolist())


def test_a_table_of_stems_is_told_from_a_manifest(bank: StemBank, tmp_path: Path) -> None:
    assert is_stem_table(bank.cache.sources[0].path.parents[2] / "stems.csv")
    (tmp_path / "music.csv").write_text("path,split\na.wav,train\n")
    assert not is_stem_table(tmp_path / "music.csv")
    assert not is_stem_table(tmp_path)
    assert not is_stem_table(tmp_path / "none.csv")
