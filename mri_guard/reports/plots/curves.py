"""ROC of slices and precision against recall of pixels, with their bands over patients."""

from collections.abc import Sequence

from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.plots.picture import Axes, Line, Picture, path, ticks

TABLE = "curves"
"""Rows `curve`, `x`, `y`, `low`, `high`, as `evaluate detection` writes them."""


def roc(files: Sequence[EvidenceFile]) -> list[Picture]:
    """Sensitivity against false-positive rate of slices."""
    return _curve(
        files,
        "roc",
        "false-positive rate of slices",
        "sensitivity of slices",
        "ROC of the slice score.",
        chance=True,
    )


def precision_recall(files: Sequence[EvidenceFile]) -> list[Picture]:
    """Precision against recall of pixels."""
    return _curve(
        files,
        "precision_recall",
        "recall of lesion pixels",
        "precision",
        "Precision against recall of the map's pixels.",
        chance=False,
    )


def _curve(
    files: Sequence[EvidenceFile],
    curve: str,
    x_label: str,
    y_label: str,
    caption: str,
    *,
    chance: bool,
) -> list[Picture]:
    lines = []
    for file in files:
        rows = [row for row in file.evidence.tables.get(TABLE, ()) if row.get("curve") == curve]
        if rows:
            points = [(row["x"], row["y"]) for row in rows]
            bands = [(row["low"], row["high"]) for row in rows]
            lines.append(Line(file.name, points, bands))
    if not lines:
        return []
    axes = Axes((0, 1), (0, 1), x_label, y_label, ticks(0, 1), ticks(0, 1))
    diagonal = path([axes.at(0, 0), axes.at(1, 1)], "#999", 0.8, "3 3") if chance else ""
    names = ", ".join(line.name for line in lines)
    words = f"{caption} Pointwise 95 % band, bootstrap over patients. From: {names}."
    return [Picture(axes.draw(lines, diagonal), words)]
