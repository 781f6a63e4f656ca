"""Robust accuracy against epsilon: what is left of the slices' AUROC under attack."""

import re
from collections.abc import Sequence

from mri_guard.evaluation.evidence import Metric
from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.plots.picture import Axes, Line, Picture, ticks

NAME = re.compile(r"robust_auroc_(evade|alarm|both)_(\d+(?:_\d+)?)_255")
GOALS = {
    "evade": "lesion slices attacked",
    "alarm": "other slices attacked",
    "both": "both attacked",
}


def against_epsilon(files: Sequence[EvidenceFile]) -> list[Picture]:
    """One line for each goal; where files measured the same, the lowest counts."""
    lowest: dict[str, dict[float, Metric]] = {goal: {} for goal in GOALS}
    used = []
    for file in files:
        for name, metric in file.evidence.metrics.items():
            found = NAME.fullmatch(name)
            if found is None:
                continue
            goal, epsilon = found[1], float(found[2].replace("_", "."))
            before = lowest[goal].get(epsilon)
            if before is None or metric.value < before.value:
                lowest[goal][epsilon] = metric
            used.append(file.name)
    if not any(len(points) > 1 for points in lowest.values()):
        return []
    lines = []
    for goal, words in GOALS.items():
        points = sorted(lowest[goal].items())
        lines.append(
            Line(
                words,
                [(epsilon, metric.value) for epsilon, metric in points],
                [(metric.low, metric.high) for _, metric in points],
                bars=True,
            )
        )
    most = max(epsilon for points in lowest.values() for epsilon in points)
    below = min(0.5, *(metric.low for points in lowest.values() for metric in points.values()))
    axes = Axes(
        (0, most * 1.04),
        (below, 1),
        "epsilon, 255ths of normalised intensity",
        "position-matched AUROC of slices",
        [
            (epsilon, f"{epsilon:g}")
            for epsilon in sorted({e for of in lowest.values() for e in of})
        ],
        ticks(below, 1),
    )
    names = ", ".join(dict.fromkeys(used))
    return [
        Picture(
            axes.draw(lines),
            "AUROC of slices left under the strongest attack tried, against the largest change of "
            f"a voxel; bars: 95 %, over patients; 0: not attacked. From: {names}.",
        )
    ]
