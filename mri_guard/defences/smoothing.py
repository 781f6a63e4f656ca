"""Bounds of a score that hold for every change of the image up to an L2 norm.

Median smoothing (Chiang et al. 2020, arXiv:2007.03730, theorem 1 and section 4.2): let F be the
distribution of a scan's score when Gaussian noise of standard deviation sigma is added to each
voxel, and the smoothed score its median. A change of the image of L2 norm r moves that median no
lower than the Phi(-r / sigma) quantile of F and no higher than the Phi(r / sigma) quantile. F is
known by draws alone; order statistics bound its quantiles without further assumption.

Nothing is assumed of the score either: what is bounded is a score of its own, the smoothed one,
with thresholds of its own. The norm is taken over all voxels of the stack on the model's grid, in
normalised intensity: a slice's score depends on its neighbours, and its bounds hold wherever in the
stack the change lies. The brain mask is taken as given, and so is what preprocessing made of the
scanner's values. Draws must be unknown to whoever made the change: one who knows them can fit it to
them.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mri_guard.ports import Scorer
from mri_guard.records import Preprocessed
from mri_guard.records.scan import readonly

CONFIDENCE = 0.999
"""Of both ends of an interval together."""


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """Scores of one scan under so many draws of noise, each rising.

    Attributes:
        scan: float64, (draws,), the scan's score.
        slices: float64, (draws, z), each slice's by itself; NaN where a slice has no score.
        sigma: standard deviation of the noise, normalised intensity.
    """

    scan: NDArray[np.float64]
    slices: NDArray[np.float64]
    sigma: float

    def __post_init__(self) -> None:
        """Freezes the arrays."""
        readonly(self.scan)
        readonly(self.slices)


def smoothed(
    scorer: Scorer, preprocessed: Preprocessed, sigma: float, draws: int, rng: np.random.Generator
) -> Smoothed:
    """Scores under noise; each draw scores all slices of the stack at once.

    Args:
        scorer: whose scores are smoothed; may transform its input before, see `Transformed`.
        preprocessed: the scan.
        sigma: standard deviation of the noise in each voxel, normalised intensity.
        draws: each costs as much as scoring the scan.
        rng: of the noise.

    Raises:
        ValueError: no noise or no draw; or a draw has no score where the clean scan has one.
    """
    if sigma <= 0 or draws < 1:
        raise ValueError(f"sigma {sigma:g} and {draws} draws; wanted some noise and some draws")
    scan, slices = np.empty(draws), []
    for draw in range(draws):
        noise = rng.standard_normal(preprocessed.image.shape, dtype=np.float32)
        noisy = preprocessed.image + np.float32(sigma) * noise
        anomaly = scorer(replace(preprocessed, image=noisy))
        scan[draw] = anomaly.score
        slices.append(anomaly.slice_scores)
    stacked = np.stack(slices).astype(np.float64)
    known = np.isfinite(stacked)
    if not np.isfinite(scan).all() or (known.any(0) != known.all(0)).any():
        raise ValueError("a score under noise is not finite")
    return Smoothed(np.sort(scan), np.sort(stacked, axis=0), sigma)


def ranks(draws: int, shift: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Ranks from 1 of the order statistics that bound the smoothed score; 0 and draws + 1 where
    there is none.

    The lower rank is the largest k with P(Bin(n, Phi(-shift)) >= k) at least the confidence of one
    end: of n draws so many lie at or below the quantile, whatever the distribution. The upper rank
    is its mirror image.

    Args:
        draws: n.
        shift: radius over sigma, not negative.
        confidence: of both ends together, each missing with at most half of the rest.

    Raises:
        ValueError: out of range.
    """
    if draws < 1 or not 0 <= shift < np.inf or not 0 < confidence < 1:
        raise ValueError(f"{draws} draws, shift {shift:g}, confidence {confidence:g}")
    below = stats.norm.cdf(-shift)
    tail = (1 - confidence) / 2
    # P(Bin >= k) falls with k: count the k from 1 that still hold.
    lower = int(np.sum(stats.binom.cdf(np.arange(draws), draws, below) <= tail))
    return lower, draws + 1 - lower


def bounds(
    rising: NDArray[np.float64], shift: float, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bound of the smoothed score under any change of that norm, like one draw;
    -inf and +inf where the draws are too few to tell, NaN where there is no score.

    Each score's interval holds with the confidence by itself, over the draws; not all of many.

    Args:
        rising: float64, (draws, ...), rising along the first axis, as `Smoothed` has them.
        shift: radius over sigma, chosen before the draws are seen.
        confidence: see `ranks`.

    Raises:
        ValueError: out of range.
    """
    lower, upper = ranks(len(rising), shift, confidence)
    none = np.where(np.isnan(rising[0]), np.nan, np.inf)
    if lower == 0:
        return np.asarray(-none), np.asarray(none)
    return np.asarray(rising[lower - 1]), np.asarray(rising[upper - 1])


def largest_radius(draws: int, sigma: float, confidence: float = CONFIDENCE) -> float:
    """L2 norm, normalised intensity, up to which so many draws give finite bounds; NaN for none.

    From (1 - Phi(-r / sigma))^n = (1 - confidence) / 2.
    """
    below = 1 - ((1 - confidence) / 2) ** (1 / draws)
    return float(-sigma * stats.norm.ppf(below)) if below <= 0.5 else float("nan")
