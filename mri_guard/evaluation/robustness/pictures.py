"""Pictures of attacks: slices before and after, by fixed rules, and figures against the budget."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from mri_guard.anomaly import VaeScorer
from mri_guard.attacks import Direction
from mri_guard.drawing import Plane, color_bar, gray, signed_overlay
from mri_guard.evaluation.evidence import Metric, suffix
from mri_guard.evaluation.robustness.attacked import Answer
from mri_guard.records import Preprocessed
from mri_guard.under_attack import slice_victim

ROWS = 4
"""Slices of each choice, each of another scan."""
PANEL_PX = 256
"""Panels are enlarged by the whole factor that makes them at least so wide."""
PANELS = ("scan", "saliency", "change x 10", "map before", "map after")
CHANGE_SHOWN = 10.0
MOST_SALIENT = 99.5
"""Percentile of saliency that is drawn white."""
PLOT = "against_epsilon.png"

CHOICES = {
    "most": "moved furthest by the attack",
    "median": "moved nearest to the median",
    "least": "moved least: where the attack did worst",
}

Pick = tuple[Direction, int, int]
"""Direction, number of the scan, slice."""

WHITE, GRID = (235, 235, 235), (70, 70, 70)
LINES: tuple[tuple[str, str, tuple[int, int, int]], ...] = (
    ("AUROC, both attacked", "robust_auroc_both_{}", (255, 255, 255)),
    ("AUROC, evade", "robust_auroc_evade_{}", (255, 140, 60)),
    ("AUROC, alarm", "robust_auroc_alarm_{}", (90, 170, 255)),
    ("sensitivity, evade", "sensitivity_evade_{}_at_slice_threshold", (255, 215, 90)),
    ("false positives, alarm", "false_positive_rate_alarm_{}_at_slice_threshold", (190, 120, 255)),
)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One slice before and after.

    Attributes:
        caption: what is known of it, by numbers alone.
        window: intensities drawn black and white.
        image: float32, (x, y), normalised intensity, clean.
        salient: float32, (x, y), see `saliency`.
        change: float32, (x, y), what was added.
        before: float32, (x, y), the clean image's signed map.
        after: the same of the attacked one.
    """

    caption: str
    window: tuple[float, float]
    image: Plane
    salient: Plane
    change: Plane
    before: Plane
    after: Plane

    @classmethod
    def of(
        cls,
        patient: int,
        z: int,
        of_255: float,
        *,
        clean: Preprocessed,
        attacked: Preprocessed,
        scorer: VaeScorer,
    ) -> "Picture":
        """The slice `z` of a scan and of what an attack made of it."""
        before, after = scorer(clean), scorer(attacked)
        low, high = np.percentile(clean.image[clean.brain], [1, 99])
        moved = f"{before.slice_scores[z]:.2f} to {after.slice_scores[z]:.2f}"
        return cls(
            caption=f"patient {patient}, slice {z}, {of_255:g}/255: slice score {moved}",
            window=(float(low), float(high)),
            image=clean.image[..., z],
            salient=saliency(scorer, clean, z),
            change=attacked.image[..., z] - clean.image[..., z],
            before=before.signed[..., z],
            after=after.signed[..., z],
        )

    def row(self) -> Image.Image:
        """Its panels side by side; a change of nought is mid-gray."""
        factor = -(-PANEL_PX // min(self.image.shape))
        scan = gray(self.image, *self.window, factor)
        shown = (0.5 + CHANGE_SHOWN * self.change).astype(np.float32)
        panels = [
            scan,
            gray(self.salient, 0.0, float(np.percentile(self.salient, MOST_SALIENT)), factor),
            gray(shown, 0.0, 1.0, factor),
            signed_overlay(scan, self.before),
            signed_overlay(scan, self.after),
        ]
        return Image.fromarray(np.concatenate(panels, axis=1))


def saliency(scorer: VaeScorer, clean: Preprocessed, z: int) -> Plane:
    """How fast the score of the slice `z` moves with each of its pixels, float32, (x, y), units of
    score over normalised intensity: the magnitude of the gradient (Simonyan et al. 2014,
    arXiv:1312.6034, section 3), which is where an attacker begins; 0 where the slice has no score.
    """
    wanted = np.arange(clean.image.shape[2]) == z
    made = slice_victim(scorer, clean, wanted, direction="alarm", threshold=0.0)
    if made is None:
        return np.zeros(clean.image.shape[:2], np.float32)
    victim = made[0]
    image = victim.image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(victim.scores(image).sum(), image)
    return np.asarray(gradient[z, 0].abs().cpu().numpy(), dtype=np.float32)


def picks(found: Sequence[tuple[Direction, int, Answer]]) -> dict[str, list[Pick]]:
    """Slices by how far they moved, at most `ROWS` of each choice and direction, one of a scan.

    Args:
        found: direction, number of the scan, and what came of it.
    """
    chosen: dict[str, list[Pick]] = {}
    for direction in ("evade", "alarm"):
        moved = [
            (float(gain), number, int(z))
            for way, number, answer in found
            if way == direction
            for gain, z in zip(np.abs(answer.worst - answer.clean), answer.goals, strict=True)
        ]
        if not moved:
            continue
        middle = float(np.median([gain for gain, _, _ in moved]))
        for choice in CHOICES:
            ranked = [(_misfit(choice, gain, middle), number, z) for gain, number, z in moved]
            best: dict[int, Pick] = {}
            for _, number, z in sorted(ranked):
                best.setdefault(number, (direction, number, z))
            chosen[f"{direction}_{choice}"] = list(best.values())[:ROWS]
    return chosen


def _misfit(choice: str, gain: float, middle: float) -> float:
    """How badly a slice that moved so far fits a choice."""
    return {"most": -gain, "median": abs(gain - middle), "least": gain}[choice]


def write_pictures(
    folder: Path,
    pictures: Mapping[str, Sequence[Picture]],
    metrics: Mapping[str, Metric],
    of_255: Sequence[float],
) -> list[Path]:
    """Files written: a PNG for each choice, and one of the figures against the budget.

    Args:
        folder: made when missing.
        pictures: by choice, as `picks` names them.
        metrics: of the evidence.
        of_255: budgets, rising.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {f"{choice}.png": sheet(choice, some) for choice, some in pictures.items() if some}
    drawn[PLOT] = plot(metrics, of_255)
    for name, image in drawn.items():
        png = io.BytesIO()
        image.save(png, format="PNG")
        (folder / name).write_bytes(png.getvalue())
    return [folder / name for name in drawn]


def sheet(choice: str, pictures: Sequence[Picture]) -> Image.Image:
    """One row of panels for each slice, its caption above it, the map's scale at the foot."""
    rows = [picture.row() for picture in pictures]
    line, gap = 20, 6
    width = max(row.width for row in rows)
    panel = width // len(PANELS)
    bar = color_bar(2 * panel - gap, 14)
    height = 2 * line + sum(row.height + line + gap for row in rows) + bar.height
    canvas = Image.new("RGB", (width, height), "black")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    direction, _, rule = choice.partition("_")
    draw.text((4, 2), f"{direction}: slices {CHOICES[rule]}", "white", font)
    for index, name in enumerate(PANELS):
        draw.text((index * panel + 4, line), name, "gray", font)
    top = 2 * line
    for picture, row in zip(pictures, rows, strict=True):
        draw.text((4, top), picture.caption, "white", font)
        canvas.paste(row, (0, top + line))
        draw.text((4, top + line + row.height // 2 - 8), "R", "yellow", font)
        top += line + row.height + gap
    canvas.paste(bar, (PANELS.index("map before") * panel, top))
    return canvas


def plot(metrics: Mapping[str, Metric], of_255: Sequence[float]) -> Image.Image:
    """Figures, 0 to 1, against the budget, with their intervals; budgets evenly spaced."""
    width, height, left, top = 900, 520, 60, 30
    inner_width, inner_height = 600, 420
    canvas = Image.new("RGB", (width, height), "black")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    across = inner_width / max(1, len(of_255) - 1)

    def at(index: int, value: float) -> tuple[float, float]:
        return left + index * across, top + (1 - value) * inner_height

    for tenth in range(0, 11, 2):
        y = at(0, tenth / 10)[1]
        draw.line([(left, y), (left + inner_width, y)], GRID)
        draw.text((left - 8, y), f"{tenth / 10:.1f}", WHITE, font, anchor="rm")
    for index, budget in enumerate(of_255):
        x = at(index, 0)[0]
        draw.line([(x, top), (x, top + inner_height)], GRID)
        draw.text((x, top + inner_height + 8), f"{budget:g}", WHITE, font, anchor="ma")
    words = "largest change of a voxel, 255ths of normalised intensity"
    draw.text((left + inner_width / 2, height - 28), words, WHITE, font, anchor="ma")
    for number, (label, name, color) in enumerate(LINES):
        names = [name.format(suffix(one)) for one in of_255]
        # Side by side, so that no interval hides another.
        shift = 3 * (number - len(LINES) // 2)
        points = []
        for index, found in enumerate(metrics.get(each) for each in names):
            if found is None:
                continue
            x, y = at(index, found.value)
            points.append((x + shift, y))
            ends = [(x + shift, at(index, end)[1]) for end in (found.low, found.high)]
            draw.line(ends, color)
            draw.ellipse([x + shift - 3, y - 3, x + shift + 3, y + 3], fill=color)
        if not points:
            continue
        draw.line(points, color, 2)
        y = top + 20 * number
        draw.line([(left + inner_width + 20, y + 7), (left + inner_width + 45, y + 7)], color, 3)
        draw.text((left + inner_width + 52, y), label, WHITE, font)
    return canvas
