"""Make the clips that the bundled tagger is trained on, in parts that are made once.

    python -m assets.tagger OUT --sources PACKAGES --corpus CORPUS

docs/tagging.md says what the folders hold. Interrupted, or asked for more clips, it continues.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from assets.tagger import teacher
from assets.tagger.clips import has_part, join_parts, write_part
from assets.tagger.labels import Labels, read_labels
from assets.tagger.pool import fill_pool
from assets.tagger.recipes import Director, shelf_of
from assets.tagger.scenes import Scene, Studio, mix
from assets.tagger.sources import Source, read_rules, read_sources
from assets.tagger.stems import Stem
from assets.tagger.stock import fonts_of, is_music, sounds_of

_PART = 200  # clips
_RENDERED = {"valid": 400, "test": 400}  # clips of instruments of fonts not trained with
_CORPUS = "corpus/"
_SEEDS = {"train": 1, "valid": 2, "test": 3}


def main(
    out: Annotated[Path, typer.Argument(help="Folder for the clips.")],
    sources: Annotated[Path, typer.Option(help="Folder of unpacked packages, by name.")],
    corpus: Annotated[Path | None, typer.Option(help="Folder with noise/ and music/.")] = None,
    clips: Annotated[int, typer.Option(help="Clips for training.")] = 8000,
    seed: Annotated[int, typer.Option(help="Other seeds give other clips.")] = 0,
    yamnet: Annotated[Path | None, typer.Option(help="The teacher's network, .tflite.")] = None,
    python: Annotated[
        Path | None, typer.Option(help="Python that has ai-edge-litert, for the teacher.")
    ] = None,
) -> None:
    """Fill the pool of sounds, ask the teacher, and write the clips of all splits."""
    torch.set_num_threads(1)
    labels = read_labels()
    known = read_sources()
    for source in known:
        if root := root_of(source, sources, corpus):
            typer.echo(f"pool: {source.name}")
            fill_pool(out / "pool", source, root, seed)
    if yamnet and python:
        subprocess.run([python, teacher.__file__, yamnet, out / "pool"], check=True)
    write_held_out(out, known, labels)
    for split, number in _RENDERED.items():
        write_scenes(out, split, number, sources, labels, seed, None)
    write_scenes(out, "train", clips, sources, labels, seed, known)
    parts = sorted(part for part in out.glob("*-*") if part.is_dir() and has_part(part))
    typer.echo(f"{join_parts(out, parts)} clips in {out / 'clips.csv'}")


def root_of(source: Source, sources: Path, corpus: Path | None) -> Path | None:
    """The folder of a source; None if it is not there, and then it is left out."""
    if source.name.startswith(_CORPUS):
        root = corpus / source.name.removeprefix(_CORPUS) if corpus else None
    else:
        root = sources / source.name
    return root if root and root.is_dir() else None


def write_held_out(out: Path, sources: list[Source], labels: Labels) -> None:
    """Recordings that are not trained with, each a clip as it is: ``valid`` and ``unseen``."""
    for split in ("valid", "unseen"):
        part = out / f"{split}-recorded"
        if has_part(part):
            continue
        scenes: list[tuple[str, Scene]] = []
        for sound in sounds_of(out / "pool", sources, read_rules(), labels, split):
            stem = Stem(sound.name, sound.samples, sound.targets)
            scenes.append((f"{len(scenes):04}", mix([stem], [-20.0], labels)))
        write_part(part, scenes, split, labels)
        typer.echo(f"{part.name}: {len(scenes)} clips")


def write_scenes(
    out: Path,
    split: str,
    number: int,
    packages: Path,
    labels: Labels,
    seed: int,
    sources: list[Source] | None,
) -> None:
    """The scenes of a split; of instruments alone and without rooms if there are no sources."""
    parts = [out / f"{split}-{part:04}" for part in range(-(-number // _PART))]
    if all(has_part(part) for part in parts):
        return
    sounds = music = studio = None
    if sources is not None:
        found = sounds_of(out / "pool", sources, read_rules(), labels, split)
        sounds = shelf_of([s for s in found if not is_music(s, labels)], labels)
        music = shelf_of([s for s in found if is_music(s, labels)], labels)
        studio = Studio(seed)
    director = Director(labels, fonts_of(split, packages), sounds, music, studio)
    for place, part in enumerate(parts):
        if has_part(part):
            continue
        write_part(
            part,
            (
                (f"{clip:04}", _scene(director, [seed, _SEEDS[split], place, clip]))
                for clip in range(min(_PART, number - place * _PART))
            ),
            split,
            labels,
        )
        typer.echo(f"{part.name}: written")


def _scene(director: Director, seed: list[int]) -> Scene:
    scene = director.scene(np.random.default_rng(seed))
    peak = float(np.abs(scene.samples).max())
    if director.studio is None and peak:
        return Scene(scene.samples * np.float32(0.5 / peak), scene.targets, scene.times)
    return scene


if __name__ == "__main__":
    typer.run(main)
