"""Forest plots: a figure in each group of patients, with its interval and n."""

from collections.abc import Mapping, Sequence
from typing import Any

from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.plots.picture import Picture, dot, path, svg, text

WANTED = {"figure", "group", "value", "low", "high", "n"}
MOST_ROWS = 40
FIGURES = (
    "auroc",
    "sensitivity",
    "false_positive_rate",
    "robust_auroc_both",
    "sensitivity_evade_at_90_specificity",
    "false_positive_rate_alarm_at_90_specificity",
)
"""Shown first; of others, as many as come."""
MOST_FIGURES = 2
LEFT, RIGHT, ROW = 170, 190, 15
WIDTH = 640


def forest(files: Sequence[EvidenceFile]) -> list[Picture]:
    """A few plots for each table by group: one figure each, each row a group.

    Takes any table whose rows have `figure`, `group`, `value`, `low`, `high` and `n`. `attribute`
    goes before the group, figures of another `unit` are others, and of several budgets (`of_255`)
    the least and the largest are drawn.
    """
    pictures = []
    for file in files:
        for table, rows in file.evidence.tables.items():
            fit = [row for row in rows if row.keys() >= WANTED and _numbers(row)]
            kinds = list(dict.fromkeys(_kind(row) for row in fit))
            first = [kind for name in FIGURES for kind in kinds if kind[0] == name]
            chosen = list(dict.fromkeys([*first, *kinds]))[:MOST_FIGURES]
            for kind in chosen:
                own = [row for row in fit if _kind(row) == kind]
                budgets = {_of_255(row) for row in own}
                for budget in sorted({min(budgets), max(budgets)}):
                    words = kind[0].replace("_", " ") + (f" at {budget:g}/255" if budget else "")
                    drawn = [row for row in own if _of_255(row) == budget][:MOST_ROWS]
                    pictures.append(
                        Picture(
                            _draw(drawn),
                            f"{words} by group, of {kind[1]}, with its 95 % interval; dashed: the "
                            f"mean of the groups, weighted by n. From: {file.name}, table {table}.",
                        )
                    )
    return pictures


def _kind(row: Mapping[str, Any]) -> tuple[str, str]:
    """Figure, and what its n counts."""
    return str(row["figure"]), str(row.get("unit", "n"))


def _of_255(row: Mapping[str, Any]) -> float:
    return float(row.get("of_255") or 0)


def _numbers(row: Mapping[str, Any]) -> bool:
    return all(isinstance(row[key], int | float) for key in ("value", "low", "high", "n"))


def _draw(rows: Sequence[Mapping[str, Any]]) -> str:
    low = min([0.0, *(row["low"] for row in rows)])
    high = max([1.0, *(row["high"] for row in rows)])
    span = WIDTH - LEFT - RIGHT

    def at(value: float) -> float:
        return float(LEFT + (value - low) / (high - low) * span)

    total = sum(row["n"] for row in rows)
    mean = sum(row["value"] * row["n"] for row in rows) / total if total else None
    bottom = 12 + ROW * len(rows)
    parts = []
    if mean is not None:
        parts.append(path([(at(mean), 4), (at(mean), bottom)], "#999", 0.8, "3 3"))
    for index, row in enumerate(rows):
        y = 14 + ROW * index
        group = " ".join(
            str(row[key]) for key in ("attribute", "group") if row.get(key) is not None
        )
        parts.append(text(LEFT - 10, y + 3.5, group, "end"))
        parts.append(path([(at(row["low"]), y), (at(row["high"]), y)], "#0a3a5c", 1.2))
        parts.append(dot(at(row["value"]), y, "#0a3a5c", 3))
        words = f"{row['value']:.3f} ({row['low']:.3f}–{row['high']:.3f})"
        parts.append(text(LEFT + span + 10, y + 3.5, words))
        parts.append(text(WIDTH - 2, y + 3.5, f"n {row['n']:g}", "end"))
    parts.append(path([(LEFT, bottom), (LEFT + span, bottom)], "#333", 0.8))
    for value in (low, (low + high) / 2, high):
        parts.append(path([(at(value), bottom), (at(value), bottom + 4)], "#333", 0.8))
        parts.append(text(at(value), bottom + 15, f"{value:.3g}", "middle"))
    return svg(WIDTH, bottom + 20, "".join(parts))
