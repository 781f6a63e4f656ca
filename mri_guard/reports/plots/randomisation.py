"""How much of the anomaly map is left as the network's weights are drawn anew, layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.plots.picture import Axes, Line, Picture, ticks

PARTS = {"map": "the whole map", "residual": "the residual's part of it"}
WITHOUT = "no network"
SHORT = {"decoder level ": "dec ", "encoder level ": "enc "}


def randomisation(files: Sequence[EvidenceFile]) -> list[Picture]:
    """One plot for each file with a cascade."""
    return [
        Picture(
            _draw(rows),
            "Rank correlation of the anomaly map with itself after weights were drawn anew, from "
            "the output to the input (0: finest level), mean over patients with 95 % intervals; a "
            "map that stays at 1 does not depend on the network. Atlas and asymmetry in the whole "
            "map do not: the flat line is what a map of those two alone has in common with it. "
            f"From: {file.name}.",
        )
        for file in files
        if (rows := file.evidence.tables.get("randomisation"))
    ]


def _draw(rows: Sequence[Mapping[str, Any]]) -> str:
    stages = [row for row in rows if row["drawn_anew"] != WITHOUT]
    lines = []
    for part, words in PARTS.items():
        points = [(0.0, 1.0)]
        points += [
            (i + 1.0, float(row[f"{part}_rank_correlation"])) for i, row in enumerate(stages)
        ]
        bands = [(1.0, 1.0)]
        bands += [(float(row[f"{part}_low"]), float(row[f"{part}_high"])) for row in stages]
        lines.append(Line(words, points, bands))
    end = float(len(stages))
    lines += [
        Line("atlas and asymmetry alone", [(0.0, value), (end, value)])
        for row in rows
        if row["drawn_anew"] == WITHOUT
        for value in [float(row["map_rank_correlation"])]
    ]
    lowest = min([0.0, *(low for line in lines for low, _ in line.bands)])
    low = -1.0 if lowest < 0 else 0.0
    axes = Axes(
        (0, end),
        (low, 1),
        "drawn anew, and all to the left of it",
        "rank correlation",
        [(0.0, "none"), *((i + 1.0, _short(row["drawn_anew"])) for i, row in enumerate(stages))],
        ticks(low, 1),
        width=640,
    )
    return axes.draw(lines)


def _short(stage: str) -> str:
    for long, short in SHORT.items():
        stage = stage.replace(long, short)
    return stage
