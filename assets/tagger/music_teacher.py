"""Ask musicnn about clips, once, so that ``benchmarks.tagging --teacher`` can compare.

    TF_USE_LEGACY_KERAS=1 python assets/tagger/music_teacher.py said.npz CLIP...

Its network of MagnaTagATune knows 50 tags of music; the 12 that AudioSet names, too, are kept. Run
it with a Python of its own: ``pip install tensorflow-cpu tf-keras librosa av`` and ``pip install
--no-deps musicnn``. It needs nothing else of the project.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "guitar": "Guitar",
    "strings": "String section",
    "drums": "Drum",
    "piano": "Piano",
    "violin": "Violin, fiddle",
    "synth": "Synthesizer",
    "harpsichord": "Harpsichord",
    "flute": "Flute",
    "sitar": "Sitar",
    "choir": "Choir",
    "harp": "Harp",
    "cello": "Cello",
}
_FRAMES, _HOP = 187, 62  # of its windows of 3 s, and from one to the next
_MELS = 96


def teacher() -> Any:
    """The module beside this one, which is no package's where this runs."""
    return import_module("teacher")


def network() -> tuple[Any, Any, Any, Any]:
    """A session of TensorFlow, and the network's input, mode and probabilities."""
    # By name: they are no dependencies of the project.
    tf = import_module("tensorflow").compat.v1
    tf.disable_eager_execution()
    models = import_module("musicnn.models")
    spectrogram = tf.placeholder(tf.float32, [None, _FRAMES, _MELS])
    training = tf.placeholder(tf.bool)
    logits = models.define_model(spectrogram, training, "MTT_musicnn", 50)[0]
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    weights = Path(str(models.__file__)).parent / "MTT_musicnn"
    tf.train.Saver().restore(session, f"{weights}/")
    return session, spectrogram, training, tf.sigmoid(logits)


def windows(clip: Path) -> np.ndarray:
    """Its input for a clip: ``[n, 187, 96]``; a clip shorter than 3 s is repeated."""
    librosa = import_module("librosa")
    samples = teacher().decode(clip)
    samples = np.resize(samples, max(len(samples), (_FRAMES + 1) * 256))
    mel = librosa.feature.melspectrogram(
        y=samples, sr=16000, hop_length=256, n_fft=512, n_mels=_MELS
    )
    frames = np.log10(10000 * mel.T + 1)
    begins = range(0, len(frames) - _FRAMES + 1, _HOP)
    return np.stack([frames[begin : begin + _FRAMES] for begin in begins])


def main(out: str, *clips: str) -> None:
    """Write ``clips`` (relative to ``out``), ``labels`` and ``probabilities [clips, labels]``."""
    tags = import_module("musicnn.configuration").MTT_LABELS
    columns = [tags.index(tag) for tag in NAMES]
    session, spectrogram, training, probabilities = network()
    said = [
        session.run(probabilities, {spectrogram: windows(Path(clip)), training: False})
        .mean(axis=0)[columns]
        for clip in clips
    ]  # fmt: skip
    teacher().write(Path(out), [Path(clip) for clip in clips], [*NAMES.values()], said)


if __name__ == "__main__":
    main(*sys.argv[1:])
