"""How uneven the brightness is over the head.

The log of the intensity inside the head is fitted by a polynomial of place of second degree, as
Van Leemput et al. 1999 (IEEE TMI 18(10), 885-896, section II) model the bias field; MRIQC's `inu`
is the range of such a field. A quarter of what is furthest from the fit is left out once, so that
fat, fluid and lesions count less.
"""

from dataclasses import dataclass

import numpy as np

from mri_guard.sanitize.look import Look

POWERS = tuple((i, j, k) for i in range(3) for j in range(3) for k in range(3) if i + j + k <= 2)


@dataclass(frozen=True, slots=True)
class Bias:
    """ln of the fitted field's 97th over its 3rd percentile, inside the head."""

    name: str = "bias"
    reason: str = "quality-bias"
    resolution: float = 0.05

    def __call__(self, look: Look, /) -> float | None:
        """The measure of a scan, or None where it cannot be measured."""
        inside = look.inner.copy()
        shown = np.flatnonzero(inside.any(axis=(0, 1)))
        if shown.size < 3:
            return None
        inside[..., : shown[0] + round(0.4 * shown.size)] = False  # face, neck and skull base
        x, y, z = (
            2 * (index - index.min()) / max(np.ptp(index), 1) - 1 for index in np.nonzero(inside)
        )
        values = np.log(np.maximum(look.small[inside], 0.05 * look.signal))
        terms = np.stack([x**i * y**j * z**k for i, j, k in POWERS], axis=1)
        if len(values) < 10 * len(POWERS):
            return None
        fit = np.linalg.lstsq(terms, values, rcond=None)[0]
        far = np.abs(values - terms @ fit)
        kept = far <= np.quantile(far, 0.75)
        fit = np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
        low, high = np.quantile(terms @ fit, (0.03, 0.97))
        return float(high - low)
