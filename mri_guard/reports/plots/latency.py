"""Latency by step: the median, and how far the slowest twentieth lies beyond it."""

from collections.abc import Sequence

from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.plots.picture import Picture, path, svg, text

NAMES = ("step", "check")
WANTED = {"median_ms", "p95_ms"}
LEFT, ROW, WIDTH = 170, 13, 640


def latency(files: Sequence[EvidenceFile]) -> list[Picture]:
    """One plot for each table of steps or checks with their times."""
    pictures = []
    for file in files:
        for table, rows in file.evidence.tables.items():
            timed = [
                (str(row[name]), float(row["median_ms"]), float(row["p95_ms"]))
                for row in rows
                for name in NAMES
                if name in row and row.keys() >= WANTED and row["median_ms"] is not None
            ]
            if timed:
                pictures.append(
                    Picture(
                        _draw(timed),
                        "Milliseconds of each step, median (bar) and 95th percentile (line). "
                        f"From: {file.name}, table {table}; on: {file.evidence.machine}.",
                    )
                )
    return pictures


def _draw(timed: Sequence[tuple[str, float, float]]) -> str:
    most = max([1e-9, *(p95 for _, _, p95 in timed)])
    span = WIDTH - LEFT - 120

    def at(ms: float) -> float:
        return LEFT + ms / most * span

    parts = []
    for index, (name, median, p95) in enumerate(timed):
        y = 12 + ROW * index
        parts.append(text(LEFT - 8, y + 3.5, name.replace("_", " "), "end"))
        width = max(at(median) - LEFT, 0.5)
        parts.append(
            f'<rect x="{LEFT}" y="{y - 4:.1f}" width="{width:.1f}" height="8" fill="#0a3a5c"/>'
        )
        parts.append(path([(LEFT, y), (at(p95), y)], "#b8541f", 1))
        parts.append(text(WIDTH - 2, y + 3.5, f"{_ms(median)} / {_ms(p95)} ms", "end"))
    return svg(WIDTH, 14 + ROW * len(timed), "".join(parts))


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
