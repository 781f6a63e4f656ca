"""Pictures of an evaluation: where the model did well, where badly, and slices nobody chose.

Figures hide how a detector fails; a gallery of its successes hides it too. So the choices are fixed
rules, and the worst, the random and the false alarms stand beside the best.
"""

import base64
import html
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mri_guard.drawing import (
    TRUTH,
    Mask,
    Plane,
    color_bar,
    gray,
    outlined,
    signed_overlay,
)
from mri_guard.evaluation.evidence import Evidence
from mri_guard.metrics.ranking import average_precision
from mri_guard.records import Anomaly, Preprocessed

INDEX = "index.html"
ROWS = 4
"""Slices of each choice, each of another patient."""
PANEL_PX = 320
"""Panels are enlarged by the whole factor that makes them at least so wide."""
PANELS = ("scan", "expected if healthy", "anomaly map over the scan", "true lesion")

CHOICES = {
    "best": "highest average precision inside the slice",
    "worst": "lowest average precision inside the slice",
    "random": "drawn by the evaluation's seed from all slices with lesion",
    "smallest": "fewest lesion pixels",
    "middle": "lesion pixels nearest to the median over slices with lesion",
    "largest": "most lesion pixels",
    "alarm": "highest slice score among slices without lesion, those beside one left out",
}


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One slice with what is drawn and said of it.

    Attributes:
        patient: number in the evidence's table of patients.
        z: index of the slice on the model's grid, from below.
        slices: how many the scan has there.
        lesion_pixels: true ones in the slice.
        precision: average precision of the map inside the slice; NaN without lesion.
        score: the slice's; NaN where there was too little brain.
        window: intensities drawn black and white: the 1st and 99th percentile of the scan's brain.
        image: float32, (x, y), normalised intensity.
        reconstruction: like image.
        signed: float32, (x, y), anomaly map, negative where darker than expected.
        lesion: bool, (x, y).
    """

    patient: int
    z: int
    slices: int
    lesion_pixels: int
    precision: float
    score: float
    window: tuple[float, float]
    image: Plane
    reconstruction: Plane
    signed: Plane
    lesion: Mask

    def caption(self) -> str:
        """What is known of the slice, by numbers alone."""
        precision = "no lesion" if np.isnan(self.precision) else f"AP {self.precision:.3f}"
        score = "none" if np.isnan(self.score) else f"{self.score:.2f}"
        return (
            f"patient {self.patient}, slice {self.z} of {self.slices}, "
            f"{self.lesion_pixels} lesion pixels, {precision} inside the slice, slice score {score}"
        )


@dataclass(slots=True, eq=False)
class Gallery:
    """Collects the slices to show while an evaluation goes by, and keeps no others.

    Attributes:
        rng: of the random choice.
        median: lesion pixels over all slices with lesion.
        kept: for each choice and patient the slice that fits best so far, with how badly it fits.
    """

    rng: np.random.Generator
    median: float
    kept: dict[str, dict[int, tuple[float, Shown]]] = field(
        default_factory=lambda: {choice: {} for choice in CHOICES}
    )

    @classmethod
    def of(cls, lesions: Iterable[NDArray[np.bool_]], rng: np.random.Generator) -> "Gallery":
        """An empty gallery for scans with these lesion masks, bool, (x, y, z)."""
        sizes = np.concatenate([lesion.sum(axis=(0, 1)) for lesion in lesions])
        return cls(rng, float(np.median(sizes[sizes > 0])) if sizes.any() else 0.0)

    def add(
        self, patient: int, preprocessed: Preprocessed, lesion: NDArray[np.bool_], anomaly: Anomaly
    ) -> None:
        """Takes from one scan the slices that fit a choice better than those kept so far.

        Args:
            patient: number in the evidence's table of patients.
            preprocessed: on the model's grid.
            lesion: bool, (x, y, z).
            anomaly: of the bundle's model.
        """
        brain, inside = preprocessed.brain, preprocessed.image[preprocessed.brain]
        low, high = np.percentile(inside, [1, 99]) if inside.size else (0.0, 1.0)
        sizes = lesion.sum(axis=(0, 1))
        near = np.convolve(sizes > 0, [1, 1, 1], mode="same") > 0
        lots = self.rng.random(len(sizes))
        for z, pixels in enumerate(sizes.tolist()):
            score = float(anomaly.slice_scores[z])
            if pixels:
                precision = _precision(anomaly.map[..., z], brain[..., z], lesion[..., z])
                misfit = {
                    "best": -precision,
                    "worst": precision,
                    "random": float(lots[z]),
                    "smallest": pixels,
                    "middle": abs(pixels - self.median),
                    "largest": -pixels,
                }
            elif not near[z] and np.isfinite(score):
                precision, misfit = float("nan"), {"alarm": -score}
            else:
                continue
            fits = [
                choice for choice, value in misfit.items() if self._wants(choice, patient, value)
            ]
            if not fits:
                continue
            image, expected = preprocessed.image[..., z], anomaly.reconstruction[..., z]
            shown = Shown(
                patient=patient,
                z=z,
                slices=len(sizes),
                lesion_pixels=pixels,
                precision=precision,
                score=score,
                window=(float(low), float(high)),
                image=image.copy(),
                reconstruction=expected.copy(),
                signed=anomaly.signed[..., z].copy(),
                lesion=lesion[..., z].copy(),
            )
            for choice in fits:
                self._keep(choice, misfit[choice], shown)

    def picks(self) -> dict[str, list[Shown]]:
        """The slices of each choice, best fitting first; choices that nothing fits left out."""
        return {
            choice: [shown for _, shown in sorted(kept.values(), key=_order)]
            for choice, kept in self.kept.items()
            if kept
        }

    def _wants(self, choice: str, patient: int, misfit: float) -> bool:
        kept = self.kept[choice]
        if patient in kept:
            return misfit < kept[patient][0]
        return len(kept) < ROWS or misfit < max(value for value, _ in kept.values())

    def _keep(self, choice: str, misfit: float, shown: Shown) -> None:
        kept = self.kept[choice]
        kept[shown.patient] = (misfit, shown)
        if len(kept) > ROWS:
            del kept[max(kept.values(), key=_order)[1].patient]


def write_gallery(gallery: Gallery, evidence: Evidence, folder: Path) -> list[Path]:
    """Files written: one PNG for each choice, and a page that holds them all and asks for nothing.

    Args:
        gallery: that has seen the evaluation's scans.
        evidence: whose digest and command the page tells.
        folder: made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written, sections = [], []
    for choice, slices in gallery.picks().items():
        png = io.BytesIO()
        sheet(slices).save(png, format="PNG")
        written.append(folder / f"{choice}.png")
        written[-1].write_bytes(png.getvalue())
        sections.append(_section(choice, slices, png.getvalue()))
    written.append(folder / INDEX)
    written[-1].write_text(_page(evidence, sections), encoding="utf-8")
    return written


def sheet(slices: list[Shown]) -> Image.Image:
    """One row of panels for each slice, its caption above it, the map's scale at the foot."""
    factor = -(-PANEL_PX // min(slices[0].image.shape))
    rows = [_row(shown, factor) for shown in slices]
    title, line, gap = 24, 20, 6
    width = max(row.width for row in rows)
    bar = color_bar(width // len(PANELS) - gap, 14)
    height = title + sum(row.height + line + gap for row in rows) + bar.height
    canvas = Image.new("RGB", (width, height), "black")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    panel = width // len(PANELS)
    for index, name in enumerate(PANELS):
        draw.text((index * panel + 4, 3), name, "gray", font)
    top = title
    for shown, row in zip(slices, rows, strict=True):
        draw.text((4, top + 1), shown.caption(), "white", font)
        canvas.paste(row, (0, top + line))
        draw.text((4, top + line + row.height // 2 - 8), "R", "yellow", font)
        top += line + row.height + gap
    canvas.paste(bar, (2 * panel, top))
    return canvas


def _row(shown: Shown, factor: int) -> Image.Image:
    scan = gray(shown.image, *shown.window, factor)
    panels = [
        scan,
        gray(shown.reconstruction, *shown.window, factor),
        signed_overlay(scan, shown.signed),
        outlined(scan, shown.lesion),
    ]
    return Image.fromarray(np.concatenate(panels, axis=1))


def _precision(found: Plane, brain: Mask, lesion: Mask) -> float:
    """As the evidence's, in one slice: lesion pixels that the brain mask misses rank last.

    0 where it misses them all: there is nothing then that they could rank behind.
    """
    if not (brain & lesion).any():
        return 0.0
    looked_at = brain | lesion
    scores = np.where(brain, found, -np.inf)[looked_at].astype(np.float64)
    return average_precision(lesion[looked_at], scores)


def _order(entry: tuple[float, Shown]) -> tuple[float, int]:
    misfit, shown = entry
    return misfit, shown.patient


def _section(choice: str, slices: list[Shown], png: bytes) -> str:
    captions = "".join(f"<li>{html.escape(shown.caption())}</li>" for shown in slices)
    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return (
        f"<section><h2>{choice}</h2><p>{html.escape(CHOICES[choice])}</p>"
        f'<figure><img alt="{choice}: {len(slices)} slices" src="{source}">'
        f"<figcaption><ol>{captions}</ol></figcaption></figure></section>"
    )


def _page(evidence: Evidence, sections: list[str]) -> str:
    outline = f"#{bytes(TRUTH).hex()}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Gallery of a detection evaluation</title>
<style>
body {{ margin: 2rem auto; max-width: 100rem; padding: 0 1rem; background: #111; color: #ddd;
 font: 1rem/1.5 system-ui, sans-serif; }}
img {{ max-width: 100%; }}
figure {{ margin: 0; }}
code {{ overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>Gallery of a detection evaluation</h1>
<p>Each row: {", ".join(PANELS)} (outlined in <span style="color: {outline}">green</span>).
Radiological convention: the patient's right is on the left of the picture, marked R; the front is
on top. Scan and expected image share one window, the 1st to the 99th percentile of the scan's
brain. The map is in standard deviations of the scan: red is brighter than expected, blue darker,
at half its height.</p>
<p>At most {ROWS} slices of a choice, each of another patient. Patients are numbered as in the
evidence's table of patients; slices are counted from 0, from below, on the model's grid.</p>
<dl>
<dt>Bundle</dt><dd><code>{html.escape(evidence.bundle_digest)}</code></dd>
<dt>Command</dt><dd><code>{html.escape(evidence.command)}</code></dd>
<dt>Code</dt><dd><code>{html.escape(evidence.code_version)}</code></dd>
<dt>Manifest</dt><dd><code>{html.escape(evidence.manifest_digest)}</code></dd>
<dt>Seed</dt><dd>{evidence.seed}</dd>
</dl>
{"".join(sections)}
</body>
</html>
"""
