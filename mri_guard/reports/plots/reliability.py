"""Reliability diagram: the share that is abnormal among scans of like probability."""

from collections.abc import Sequence

from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.plots.picture import Axes, Line, Picture, path, ticks

WANTED = {"probability", "share", "share_low", "share_high"}


def reliability(files: Sequence[EvidenceFile]) -> list[Picture]:
    """One line for each table whose rows have a mean probability and a share with its interval."""
    lines = []
    for file in files:
        for table, all_rows in file.evidence.tables.items():
            rows = [row for row in all_rows if row.keys() >= WANTED and row["share"] is not None]
            rows = sorted(rows, key=lambda row: float(row["probability"]))
            if rows:
                points = [(row["probability"], row["share"]) for row in rows]
                bands = [(row["share_low"], row["share_high"]) for row in rows]
                lines.append(Line(f"{file.name}, {table}", points, bands, bars=True, joined=False))
    if not lines:
        return []
    axes = Axes(
        (0, 1), (0, 1), "probability stated", "share that is abnormal", ticks(0, 1), ticks(0, 1)
    )
    diagonal = path([axes.at(0, 0), axes.at(1, 1)], "#999", 0.8, "3 3")
    words = "Stated probability of abnormality against the share seen in each bin; bars: 95 %."
    return [Picture(axes.draw(lines, diagonal), words)]
