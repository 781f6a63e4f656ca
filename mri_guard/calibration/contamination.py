"""What if some of the healthy calibration scans are not healthy?

Abnormal scans among them score high and raise the threshold: the false-positive rate stays held,
and what is paid is sensitivity. Nothing in the scores alone tells how many there are, so the answer
is a table of what-ifs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mri_guard.calibration.budget import Budget
from mri_guard.calibration.threshold import largest
from mri_guard.records import Finite, Record, Share

SHARES = (0.0, 0.01, 0.02, 0.05)
DRAWS = 500


class WhatIf(Record):
    """A threshold under one supposition.

    Attributes:
        share: of the healthy calibration scans that are not healthy.
        scans: the same as a number, rounded up.
        supposed: `left out`: so many are among them already, the highest, and are taken away; or
            `mixed in`: abnormal scans' scores stand in the place of so many, drawn again and again.
        threshold: of those that are left; the median where it was drawn.
        low: 2.5th percentile over the draws; the threshold itself where nothing was drawn.
        high: 97.5th percentile.
        sensitivity: share of the abnormal scores above it, mean over the draws; None without any.
    """

    share: Share
    scans: int
    supposed: str
    threshold: Finite
    low: Finite
    high: Finite
    sensitivity: Share | None


def what_if(
    healthy: Sequence[float],
    abnormal: Sequence[float],
    budget: Budget,
    delta: float,
    *,
    rng: np.random.Generator,
    shares: Sequence[float] = SHARES,
    draws: int = DRAWS,
) -> tuple[WhatIf, ...]:
    """The threshold as it is and as it would be, by share.

    Left out are the highest: no other scans would lower the threshold as far. Where too few remain
    for any threshold there is no such row.

    Args:
        healthy: calibration scores, taken for healthy.
        abnormal: scores of abnormal scans; none: nothing can be mixed in, and nothing found.
        budget: of false flags.
        delta: probability of not holding it.
        rng: draws who is replaced, and by whom.
        shares: of the healthy scores.
        draws: for each share.

    Raises:
        NotCalibratedError: too few healthy scores as it is, or one that is not a number.
    """
    n = len(healthy)
    ordered, ill = np.sort(np.asarray(healthy, np.float64)), np.asarray(abnormal, np.float64)
    rank = budget.rank(n, delta)
    largest(healthy, rank)  # refuses what is no number

    def row(share: float, supposed: str, limits: NDArray[np.float64]) -> WhatIf:
        low, middle, high = map(float, np.quantile(limits, [0.025, 0.5, 0.975]))
        return WhatIf(
            share=share,
            scans=_scans(share, n),
            supposed=supposed,
            threshold=middle,
            low=low,
            high=high,
            sensitivity=float((ill[None] > limits[:, None]).mean()) if len(ill) else None,
        )

    rows: list[WhatIf] = []
    for share in shares:
        scans = _scans(share, n)
        kept = ordered[: n - scans].tolist()
        if len(kept) >= budget.smallest_count(delta):
            limit = largest(kept, budget.rank(len(kept), delta))
            rows.append(row(share, "left out", np.array([limit])))
        if scans and len(ill):
            mixed = rng.permuted(np.tile(ordered, (draws, 1)), axis=1)
            mixed[:, :scans] = rng.choice(ill, size=(draws, scans))
            rows.append(row(share, "mixed in", np.sort(mixed, axis=1)[:, -rank]))
    return tuple(rows)


def _scans(share: float, n: int) -> int:
    return int(np.ceil(share * n - 1e-9))
