"""Copying: is what should be removed still there in the restoration?

**Real lesions**, where there is a mask: the contrast of a section (what connects in one axial
slice) is the median inside it less the median of the brain around it; what is kept is the
restoration's contrast over the image's. 1 is a copy, 0 a lesion that is gone. What a healthy
brain would show at that place nobody knows, so that a single share means little, and the median
over sections is told.

**Planted lesions**, in slices without any: here it is known what was there before. What is kept
is the part of the planted change by which the restoration moved when it came, by least squares,

    sum((restored with - restored without) * change) / sum(change ** 2),

1 where the restoration follows the lesion wholly and 0 where it does not notice. Families that
training learns to undo stand apart from those that it never saw.

Sizes are those of the cross-section in the slice that thresholds are told for too
(`evaluation/at_alpha.py`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from mri_guard.determinism import generator
from mri_guard.evaluation.at_alpha import SIZES
from mri_guard.evaluation.detection import sections
from mri_guard.evaluation.evidence import Metric
from mri_guard.evaluation.risks.scene import Examined, stacked
from mri_guard.metrics.bootstrap import FEWEST, interval
from mri_guard.metrics.by_patient import Counts
from mri_guard.preprocess.grid import PIXEL_MM
from mri_guard.training.synthetic_lesions import HELD_OUT, RADII_PX, TRAINED, Change, Kind, corrupt

SMALLEST_PX = 4
"""A section of fewer pixels has no contrast worth the name."""

SMALLEST_CONTRAST = 0.07
"""A tenth of the brain's median: of a fainter one no share is taken."""

GAP_PX, AROUND_PX = 1, 5
"""Around a lesion is what lies beyond the gap, in which masks err, and this near."""

SMALLEST_AROUND_PX = 10

FAMILIES: dict[str, tuple[Change, ...]] = {
    "trained": tuple(change for change in TRAINED if change.__name__ != "foreign"),
    "held_out": HELD_OUT,
}
"""Of planted lesions; `foreign` wants another brain."""


@dataclass(frozen=True, slots=True)
class Section:
    """One cross-section of a lesion.

    Attributes:
        patient: index.
        px: of the cross-section, pixels of the model's grid.
        kept: share of its contrast, or of its change, in the restoration; NaN where it is too small
            or too faint to have one.
    """

    patient: int
    px: int
    kept: float


def copying(
    model: nn.Module, scans: Sequence[Examined], counts: Counts, seed: int
) -> tuple[dict[str, Metric], list[dict[str, Any]]]:
    """Median shares kept by real and by planted lesions, in all and by size, with intervals over
    patients; and a row of each, with how many sections had no share.

    Args:
        model: restores; in evaluation mode.
        scans: with lesions, without, or both.
        counts: of their patients.
        seed: of the planted lesions.
    """
    kinds = {"": [section for scan in scans for section in real_sections(scan)]} | {
        f"planted_{group}_": [
            section
            for number, scan in enumerate(scans)
            for section in planted_sections(model, scan, changes, generator(seed, group, number))
        ]
        for group, changes in FAMILIES.items()
    }
    metrics: dict[str, Metric] = {}
    rows = []
    for kind, found in kinds.items():
        for size, those in by_size(found).items():
            name = f"{kind}lesion_contrast_kept{size}"
            metric = _median(those, counts, _definition(kind, size))
            if metric is not None:
                metrics[name] = metric
            rows.append(
                {
                    "lesions": kind.strip("_").replace("_", " ") or "masks of the manifest",
                    "cross_section": size.strip("_").replace("_", " ") or "any",
                    "sections": sum(not math.isnan(one.kept) for one in those),
                    "without_share": sum(math.isnan(one.kept) for one in those),
                    "patients": len({one.patient for one in those if not math.isnan(one.kept)}),
                    "kept": metric.value if metric else None,
                }
            )
    return metrics, rows


def by_size(found: Sequence[Section]) -> dict[str, list[Section]]:
    """All of them, and those of each of `SIZES`, by the ending of the figure's name."""
    return {"": list(found)} | {
        f"_{size}": [one for one in found if fewest <= one.px <= (most or np.inf)]
        for size, (fewest, most) in SIZES.items()
    }


def real_sections(scan: Examined) -> Iterator[Section]:
    """Each section of the scan's lesions that lies in the brain."""
    image, brain = scan.subject.image, scan.subject.brain
    for mask in sections(np.moveaxis(scan.lesion, 0, 2)):
        z = int(np.flatnonzero(mask.any(axis=(0, 1)))[0])
        section, every = mask[..., z], scan.lesion[z]
        near = ndimage.binary_dilation(section, iterations=AROUND_PX)
        around = near & brain[z] & ~ndimage.binary_dilation(every, iterations=GAP_PX)
        kept = np.nan
        if section.sum() >= SMALLEST_PX and around.sum() >= SMALLEST_AROUND_PX:
            seen, left = (
                float(np.median(plane[section]) - np.median(plane[around]))
                for plane in (image[z], scan.restored[z])
            )
            if abs(seen) >= SMALLEST_CONTRAST:
                kept = left / seen
        yield Section(scan.patient, int(section.sum()), kept)


def planted_sections(
    model: nn.Module, scan: Examined, changes: Sequence[Change], rng: np.random.Generator
) -> Iterator[Section]:
    """A lesion of each change and class of size, each in a slice of the scan that has none.

    Args:
        model: restores.
        scan: none is planted where it has no slice to plant it in.
        changes: families.
        rng: draws slice, place, form and strength.
    """
    subject = scan.subject
    if not len(subject.centres):
        return
    calm, changed, places, soft = [], [], [], []
    for change in changes:
        for radius_px in RADII_PX:
            window, brain, place = subject.window(int(rng.choice(subject.centres)))
            with_lesion, lesion = corrupt(
                window,
                brain,
                window,
                Kind(change, radius_px, (0.0, 1.0)),
                depth_px=subject.depth_px,
                rng=rng,
                middle=subject.restored,
            )
            if lesion is not None:
                calm.append(window)
                changed.append(with_lesion)
                places.append(place)
                soft.append(lesion)
    if not calm:
        return
    with torch.inference_mode():
        without, restored = (
            _middle(model(stacked(windows, model), stacked(places, model))[0].float().cpu().numpy())
            for windows in (calm, changed)
        )
    change_of = _middle(np.stack(changed) - np.stack(calm)).astype(np.float64)
    for came, moved, inside in zip(
        change_of, restored - without, _middle(np.stack(soft)) >= 0.5, strict=True
    ):
        energy, kept = float(np.square(came).sum()), np.nan
        if inside.sum() >= SMALLEST_PX:
            plain = float(np.sqrt(np.square(came[inside]).mean()))
            if plain >= SMALLEST_CONTRAST:
                kept = float((moved * came).sum()) / energy
        yield Section(scan.patient, int(inside.sum()), kept)


def _middle(windows: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """The middle slice of each window, (b, x, y)."""
    return windows[:, windows.shape[1] // 2]


def _median(found: Sequence[Section], counts: Counts, definition: str) -> Metric | None:
    """Median share over sections; None from fewer than `FEWEST`."""
    known = [one for one in found if not math.isnan(one.kept)]
    patient = np.array([one.patient for one in known], dtype=np.int64)
    if len(np.unique(patient)) < FEWEST:
        return None
    kept = np.array([one.kept for one in known])

    def statistic(count: NDArray[np.int64]) -> float:
        drawn = np.repeat(kept, count[patient])
        return float(np.median(drawn)) if len(drawn) else float("nan")

    return Metric(
        **interval(statistic, counts).model_dump(),
        n=len(known),
        unit="sections",
        definition=definition,
    )


def _definition(kind: str, size: str) -> str:
    sizes = (
        f", cross-sections {size.strip('_').replace('_', ' ')} of {PIXEL_MM * PIXEL_MM:g} mm2"
        if size
        else ""
    )
    if not kind:
        return (
            "median over sections of real lesions of (median inside less median around) in the "
            f"restoration over the same in the image, around being brain {GAP_PX} to {AROUND_PX} "
            f"pixels of 2 mm away; sections of at least {SMALLEST_PX} pixels with a contrast of at "
            f"least {SMALLEST_CONTRAST:g} where the brain's median is 0.7{sizes}; 1 is a copy"
        )
    what = "that training undoes" if "trained" in kind else "that training never saw"
    return (
        f"median over synthetic lesions of families {what}, planted in lesion-free slices, of the "
        "share of their change by which the restoration moved (least squares); changes of at least "
        f"{SMALLEST_CONTRAST:g} where the brain's median is 0.7{sizes}; 1 is a copy"
    )
