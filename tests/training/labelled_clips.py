"""Small data sets of labelled clips that look like FSD50K and AudioSet."""

import csv
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from grafprint import audio
from tests import audio_files

LABELS = ("Hiss", "Hum", "Music")  # noise, a low tone, a bundled track


def clip(label: str, number: int, duration_s: float = 2.5) -> np.ndarray:
    """Float samples at 16 kHz that sound as the label says; each number is another clip."""
    rng = np.random.default_rng(number)
    n = round(duration_s * audio.SAMPLE_RATE)
    if label == "Music":
        path = audio_files.MUSIC[number % len(audio_files.MUSIC)]
        return audio.load(path, start_s=20.0 + number, duration_s=duration_s)
    if label == "Hum":
        hz = rng.uniform(80, 160)
        return np.asarray(0.3 * np.sin(2 * np.pi * hz * np.arange(n) / audio.SAMPLE_RATE))
    return np.asarray(rng.normal(scale=0.1, size=n))


def write(path: Path, samples: np.ndarray) -> None:
    """Write a WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, audio.SAMPLE_RATE, samples.astype(np.float32))


def table(root: Path, per_label: int = 8, held_out: int = 2) -> Path:
    """A table of one's own: clips of each label, the last of them for validation."""
    rows = [["path", "labels", "split"]]
    for label in LABELS:
        for number in range(per_label):
            name = f"clips/{label}-{number}.wav"
            write(root / name, clip(label, number))
            rows.append([name, label, "valid" if number >= per_label - held_out else "train"])
    with (root / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return root / "clips.csv"


def fsd50k(root: Path) -> Path:
    """FSD50K as it is distributed: three tables and two folders of numbered files."""
    truth = root / "FSD50K.ground_truth"
    truth.mkdir(parents=True)
    (truth / "vocabulary.csv").write_text(
        "0,Hiss,/m/07pt_g0\n1,Hum,/m/01d380\n2,Mains_hum,/m/01b9nn\n3,Music,/m/04rlf\n"
    )
    (truth / "dev.csv").write_text(
        "fname,labels,mids,split\n"
        '64760,"Mains_hum,Hum","/m/01b9nn,/m/01d380",train\n'
        "16399,Hiss,/m/07pt_g0,train\n"
        '16401,"Music,Hiss","/m/04rlf,/m/07pt_g0",val\n'
    )
    (truth / "eval.csv").write_text("fname,labels,mids\n37199,Music,/m/04rlf\n")
    for name, label in [("64760", "Hum"), ("16399", "Hiss"), ("16401", "Music")]:
        write(root / "FSD50K.dev_audio" / f"{name}.wav", clip(label, 0, 1.0))
    write(root / "FSD50K.eval_audio" / "37199.wav", clip("Music", 1, 1.0))
    return root


def audioset(root: Path) -> Path:
    """AudioSet as it is distributed: tables of segments; the audio came from elsewhere."""
    root.mkdir(parents=True)
    (root / "class_labels_indices.csv").write_text(
        "index,mid,display_name\n"
        '0,/m/09x0r,"Speech"\n'
        '1,/m/05zppz,"Male speech, man speaking"\n'
        '2,/m/04rlf,"Music"\n'
    )
    head = (
        "# Segments csv created Sun Mar  5 10:54:31 2017\n"
        "# num_ytids=3, num_segs=3, num_unique_labels=3, num_positive_labels=4\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
    )
    (root / "balanced_train_segments.csv").write_text(
        head
        + '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/m/05zppz"\n'
        + '-0_vEaaXndY, 11.000, 21.000, "/m/04rlf"\n'
        + 'gone1234567, 0.000, 10.000, "/m/04rlf"\n'
    )
    (root / "eval_segments.csv").write_text(
        head + '007P6bFgRCU, 10.000, 20.000, "/m/04rlf,/m/09x0r"\n'
    )
    write(root / "train" / "Y--PJHxphWEs.wav", clip("Hum", 0, 1.0))
    write(root / "train" / "-0_vEaaXndY_11000_21000.wav", clip("Music", 0, 1.0))
    write(root / "eval" / "007P6bFgRCU.wav", clip("Music", 1, 1.0))
    write(root / "eval" / "something-else.wav", clip("Hiss", 0, 1.0))
    return root
