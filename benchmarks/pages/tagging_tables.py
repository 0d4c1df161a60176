"""Tables of tagging; see benchmarks.tagging, benchmarks.faithfulness and benchmarks.report."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import faithfulness as faithful
from benchmarks import tagging as tags
from benchmarks.shared import common
from benchmarks.shared.common import markdown, rate_text


def sets() -> str:
    """Every tagger and teacher on every set of clips."""
    return tags.table(common.read("tagging"))


def labels() -> str:
    """Average precision of the bundled tagger, label by label, in each set of clips."""
    found = common.read("tagging")["sets"]
    rows = [
        [name, score["label"], str(score["clips"]), rate_text(score["average_precision"], 1, 2)]
        for name, of_set in found.items()
        for score in sorted(
            of_set[tags.BUNDLED]["labels"], key=lambda score: -score["average_precision"][0]
        )
    ]
    return markdown(["clips", "label", "right ones", "average precision"], rows)


def agreement() -> str:
    """How far taggers agree with teachers on music without labels."""
    found = common.read("tagging")["agreement_on_music"]
    rows = [
        [name, teacher, str(of["clips"]), str(of["labels"]), f"{100 * of['same_top']:.0f} %",
         f"{of['mean_difference']:.3f}"]
        for name, teachers in found.items() for teacher, of in teachers.items() if of["clips"]
    ]  # fmt: skip
    header = ["tagger", "teacher", "tracks", "labels of both", "same likeliest label",
              "mean difference of probabilities"]  # fmt: skip
    return markdown(header, rows)


def size() -> str:
    """Size and time of the taggers."""
    found = common.read("tagging")
    rows = [
        [name, str(of["labels"]), f"{of['parameters_m']:.2f}", f"{of['macs_g']:.2f}",
         f"{of['ms_10s']:.0f} ms"]
        for name, of in found["taggers"].items()
    ]  # fmt: skip
    threads = next(iter(found["taggers"].values()))["threads"]
    header = ["tagger", "labels", "parameters (M)", "multiply-accumulates (G)", "10 s take"]
    return f"{markdown(header, rows)}\n\nOn {threads} threads; {found['machine']}."


def faithfulness() -> str:
    """Where each kind of evidence points, and what the logit loses without it."""
    found = common.read("faithfulness")
    return (
        f"{faithful.table(found)}\n\n{found['labels_in_clips']} labels in {found['clips']} clips, "
        f"each sounding during at most {100 * found['longest_share']:.0f} % of its window."
    )


TABLES: dict[str, Callable[[], str]] = {
    "tagging": sets,
    "tagging by label": labels,
    "tagging agreement": agreement,
    "tagging size": size,
    "tagging faithfulness": faithfulness,
}
