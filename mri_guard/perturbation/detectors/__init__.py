"""One perturbation detector a file.

They notice attackers who do not know them; one who does gets past them, and no figure of robustness
counts on them. What was tried beside them and dropped: `docs/decisions/0011`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mri_guard.errors import BundleError
from mri_guard.perturbation.detector import ConformalDetector
from mri_guard.perturbation.detectors.feature_squeezing import FeatureSqueezing
from mri_guard.perturbation.detectors.fragility import Fragility
from mri_guard.perturbation.detectors.high_frequency import HighFrequency
from mri_guard.perturbation.detectors.learnt import Learnt

DETECTORS: tuple[type[ConformalDetector], ...] = (
    HighFrequency,
    Learnt,
    FeatureSqueezing,
    Fragility,
)
"""Every detector, cheapest first."""

__all__ = ["DETECTORS", "FeatureSqueezing", "Fragility", "HighFrequency", "Learnt", "assembled"]


def assembled(
    clean: Mapping[str, Sequence[float]], arrays: Mapping[str, NDArray[np.float32]]
) -> tuple[ConformalDetector, ...]:
    """Those of `DETECTORS` that were calibrated, in running order.

    Args:
        clean: statistics of clean scans, by detector.
        arrays: what was learnt, as `learnt.direction`.

    Raises:
        BundleError: none, or one that is not known; or what was learnt does not fit.
    """
    known = {kind.name for kind in DETECTORS}
    if not clean or not set(clean) <= known:
        raise BundleError(
            f"calibrates the detectors {sorted(clean)}; wanted some of {sorted(known)}"
        )
    learnt = {key.removeprefix("learnt."): array for key, array in arrays.items()}
    if learnt and Learnt.name not in clean:
        raise BundleError("what a detector has learnt, and no calibration of it")
    made: list[ConformalDetector] = []
    if HighFrequency.name in clean:
        made.append(HighFrequency(tuple(clean[HighFrequency.name])))
    if Learnt.name in clean:
        made.append(Learnt.from_arrays(learnt, clean[Learnt.name]))
    if FeatureSqueezing.name in clean:
        made.append(FeatureSqueezing(tuple(clean[FeatureSqueezing.name])))
    if Fragility.name in clean:
        made.append(Fragility(tuple(clean[Fragility.name])))
    return tuple(made)
