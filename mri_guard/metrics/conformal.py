"""Conformal p-values (Bates et al. 2023, arXiv:2104.08279, equation 2)."""

from collections.abc import Sequence

import numpy as np

from mri_guard.errors import NotCalibratedError


def p_value(score: float, calibration: Sequence[float]) -> float:
    """(1 + number of calibration scores at least as large) / (n + 1), in (0, 1].

    For a scan exchangeable with the calibration scans P(p <= a) <= a; ties count against the
    scan, so that they only make p larger.

    Args:
        score: finite; rises with abnormality.
        calibration: scores of clean scans.

    Raises:
        NotCalibratedError: there are no calibration scores.
        ValueError: the score is not finite.
    """
    if len(calibration) == 0:
        raise NotCalibratedError("no calibration scores")
    if not np.isfinite(score):
        raise ValueError("score is not finite")
    at_least = int(np.sum(np.asarray(calibration, dtype=np.float64) >= score))
    return (1 + at_least) / (len(calibration) + 1)
