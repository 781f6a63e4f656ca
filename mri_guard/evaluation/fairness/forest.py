"""A forest plot: each group's rates with their intervals, one below the other."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.fairness.assessed import UNITS, Unit
from mri_guard.evaluation.fairness.command import EVERYONE
from mri_guard.fairness.figures import RATES

NAMES_PX, PANEL_PX, GAP_PX, LINE_PX, TOP_PX = 330, 320, 30, 22, 56
WHITE, FAINT, GRID, FOUND = (235, 235, 235), (150, 150, 150), (70, 70, 70), (255, 90, 90)
COLORS = ((235, 235, 235), (255, 140, 60), (90, 170, 255), (255, 215, 90), (190, 120, 255))
"""Of no attack and of each budget; what has more budgets begins again."""


def forest(evidence: Evidence) -> Image.Image:
    """Sensitivity and false-positive rate, 0 to 1, of each group: of scans, and below them of
    slices of images. The upright line is everyone's without an attack; a group in red has a gap.
    """
    units = [unit for unit in UNITS if _rows(evidence, unit)] or UNITS[:1]
    drawn = [_forest(evidence, unit) for unit in units]
    height = sum(one.height for one in drawn)
    canvas = Image.new("RGB", (drawn[0].width, height), "black")
    top = 0
    for one in drawn:
        canvas.paste(one, (0, top))
        top += one.height
    return canvas


def _rows(evidence: Evidence, unit: Unit) -> list[dict[str, Any]]:
    figures = evidence.tables["figures"]
    return [row for row in figures if row["unit"] == unit and row["figure"] in RATES]


def _forest(evidence: Evidence, unit: Unit) -> Image.Image:
    shown = _rows(evidence, unit)
    groups = list(dict.fromkeys(row["group"] for row in shown))
    budgets = sorted({row["of_255"] or 0.0 for row in shown})
    gaps = {
        (row["group"], row["rate"])
        for row in evidence.tables["gaps"]
        if row["unit"] == unit and row["verdict"] == "gap"
    }
    width = NAMES_PX + len(RATES) * (PANEL_PX + GAP_PX)
    canvas = Image.new("RGB", (width, TOP_PX + LINE_PX * (len(groups) + 2)), "black")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for row, group in enumerate(groups):
        color = FOUND if any(name == group for name, _ in gaps) else WHITE
        draw.text((8, TOP_PX + LINE_PX * row + LINE_PX / 2), group, color, font, anchor="lm")
    for column, rate in enumerate(RATES):
        left = NAMES_PX + column * (PANEL_PX + GAP_PX)
        draw.text((left, 8), f"{rate.replace('_', ' ')}, {unit}", WHITE, font)
        some = [one for one in shown if one["figure"] == rate]
        _panel(draw, left, some, groups, budgets)
    foot = TOP_PX + LINE_PX * (len(groups) + 1)
    for number, budget in enumerate(budgets):
        words = f"attacked, {budget:g}/255" if budget else "no attack"
        place = (8 + 150 * number, foot)
        draw.text(place, words, COLORS[number % len(COLORS)], font)
    return canvas


def _panel(
    draw: ImageDraw.ImageDraw,
    left: int,
    rows: Sequence[Mapping[str, Any]],
    groups: Sequence[str],
    budgets: Sequence[float],
) -> None:
    font = ImageFont.load_default(13)
    bottom = TOP_PX + LINE_PX * len(groups)
    for tenth in range(0, 11, 2):
        x = left + PANEL_PX * tenth / 10
        draw.line([(x, TOP_PX), (x, bottom)], GRID)
        draw.text((x, TOP_PX - 18), f"{tenth / 10:.1f}", FAINT, font, anchor="ma")
    for row in rows:
        number = budgets.index(row["of_255"] or 0.0)
        color = COLORS[number % len(COLORS)]
        # One below the other, so that no interval hides another.
        offset = LINE_PX * (number + 1) / (len(budgets) + 1)
        y = TOP_PX + LINE_PX * groups.index(row["group"]) + offset
        low, high, value = (left + PANEL_PX * row[end] for end in ("low", "high", "value"))
        if row["group"] == EVERYONE and number == 0:
            draw.line([(value, TOP_PX), (value, bottom)], FAINT)
        draw.line([(low, y), (high, y)], color)
        draw.ellipse([value - 3, y - 3, value + 3, y + 3], fill=color)
