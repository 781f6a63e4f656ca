"""Does an exported network give the scores of the bundle it came from?"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mri_guard.anomaly import VaeScorer
from mri_guard.determinism import generator
from mri_guard.errors import UnfitModelError
from mri_guard.phantom import LesionKind, draw_parameters, render
from mri_guard.ports import Calibrator, Preprocessor
from mri_guard.preprocess.orientation import spacing_mm
from mri_guard.records import Contrast, Finite, Preprocessed, Record, Scan, ScanHeader

TOLERANCE = 1e-4
"""Largest relative difference of a scan's score, and of its map as a share of the map's maximum."""

SLICES = (20, 33)
"""Of the phantoms: neither is a whole number of batches."""


class Parity(Record):
    """How far an exported network is from the bundle's.

    Attributes:
        scans: compared.
        score: largest relative difference of a scan's score.
        map: largest difference of an anomaly map, as a share of the map's maximum.
    """

    scans: int = Field(ge=1)
    score: Finite
    map: Finite


def parity(
    reference: VaeScorer,
    exported: VaeScorer,
    scans: Iterable[Preprocessed],
    calibrate: Calibrator,
) -> Parity:
    """The differences, none of them larger than `TOLERANCE`, and no scan with another verdict.

    The map is compared too: what moves only a part of it may leave one scan's score alone and
    another's not. What these scans do not show goes unnoticed: a slight change of one weight, or
    of what scoring never uses, such as the variances of the latents.

    Args:
        reference: of the bundle.
        exported: the same scorer with the exported network.
        scans: at least one.
        calibrate: says which scores are unusual.

    Raises:
        UnfitModelError: a larger difference, a value that is no number, or another verdict.
    """
    pairs = [(reference(scan), exported(scan)) for scan in scans]
    # np.max hands a NaN on, and no comparison with a NaN holds.
    score = float(np.max([_difference(a.score, b.score) for a, b in pairs]))
    map_ = float(np.max([_difference(a.map, b.map) for a, b in pairs]))
    if not (score <= TOLERANCE and map_ <= TOLERANCE):
        raise UnfitModelError(
            f"the exported network differs by {score:.1e} in the score and {map_:.1e} in the map; "
            f"wanted {TOLERANCE:.0e} at most"
        )
    others = sum(calibrate(a.score).unusual != calibrate(b.score).unusual for a, b in pairs)
    if others:
        raise UnfitModelError(
            f"the exported network decides otherwise on {others} of {len(pairs)} scans"
        )
    return Parity(scans=len(pairs), score=score, map=map_)


def _difference(wanted: NDArray[np.float32] | float, seen: NDArray[np.float32] | float) -> float:
    """Largest difference as a share of the largest value that was wanted."""
    return float(np.abs(np.subtract(seen, wanted)).max() / max(np.abs(wanted).max(), 1e-12))


def phantom_scans(preprocess: Preprocessor, contrast: Contrast, seed: int) -> list[Preprocessed]:
    """A healthy and a lesioned phantom, preprocessed.

    Args:
        preprocess: of the bundle.
        contrast: one that the bundle has learnt and that phantoms are made of.
        seed: root seed.

    Raises:
        InputError: the bundle finds no brain in a phantom.
    """
    scans = []
    for count, kinds in zip(SLICES, ((), (LesionKind.BRIGHT,)), strict=True):
        rng = generator(seed, "export parity", count)
        phantom = render(draw_parameters(rng, contrast, kinds, count, 145.0 / count))
        header = ScanHeader(
            contrast=contrast, slice_count=count, spacing_mm=spacing_mm(phantom.affine)
        )
        scans.append(preprocess(Scan(phantom.voxels.astype(np.float32), phantom.affine, header)))
    return scans
