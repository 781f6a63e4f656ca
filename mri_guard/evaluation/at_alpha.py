"""What the exact thresholds of one budget of false flags do to scans and slices, and what they
promise.

Thresholds are made from a bundle's calibration scores: of all its healthy scans, as the bundle
makes its own, and of each site's alone where that site has enough of them and healthy scans of it
are assessed. Pooled thresholds promise their budget for a mixture of sites that is like the
calibration scans; a site's own for that site.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.bundle import Calibration
from mri_guard.calibration import Budget, Rate, false_positive_band, largest
from mri_guard.determinism import generator
from mri_guard.evaluation.evidence import Metric, proportion, share_of
from mri_guard.metrics.bootstrap import patient_counts

PREDICTED = "_predicted"
"""Ends the name of what a threshold promises; the rate that came of it has the name before."""

SIZES = {"up_to_50_px": (1, 50), "51_to_200_px": (51, 200), "over_200_px": (201, None)}
"""Fewest and most pixels of 2 mm of a lesion's cross-section in one slice."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One scan and what the model said of it.

    Attributes:
        label: `healthy` or `abnormal`.
        site: where it comes from.
        subject: who it is of.
        score: the scan's; -inf where the model was not reached.
        slices: float64, (z,), of each slice; NaN where a slice has none; empty with the model.
        lesion_px: int64, (z,), pixels of lesion in each; None where nobody drew it.
    """

    label: str
    site: str
    subject: str
    score: float
    slices: NDArray[np.float64]
    lesion_px: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class Limit:
    """An exact threshold and what it promises.

    Attributes:
        budget: of false flags, that it holds ...
        delta: ... except with this probability over the draw of the calibration scans.
        rank: it is the k-th largest ...
        calibrated: ... of so many healthy scores.
        threshold: what is above it is unusual.
    """

    budget: Budget
    delta: float
    rank: int
    calibrated: int
    threshold: float

    @classmethod
    def of(cls, scores: Sequence[float], budget: Budget, delta: float) -> "Limit":
        """The limit from healthy scores.

        Raises:
            NotCalibratedError: too few.
        """
        rank = budget.rank(len(scores), delta)
        return cls(budget, delta, rank, len(scores), largest(scores, rank))

    def promise(self, n: int) -> Metric:
        """Expected share of n new healthy scans above it, with its 95 % band."""
        return promised(self.rank, self.calibrated, n)


def promised(rank: int, calibrated: int, n: int) -> Metric:
    """Expected share of n new healthy scans above the k-th largest of m, with its 95 % band."""
    low, high = false_positive_band(rank, calibrated, n)
    return Metric(
        value=rank / (calibrated + 1),
        low=low / n,
        high=high / n,
        n=n,
        unit="scans",
        definition=f"share to expect of {n} healthy scans above the {rank}. largest of "
        f"{calibrated} exchangeable healthy scores, and its 95 % beta-binomial prediction "
        f"interval BetaBinomial({n}, {rank}, {calibrated + 1 - rank})",
    )


def at_budget(
    budget: Budget, scans: Sequence[Scored], calibration: Calibration, delta: float, seed: int
) -> tuple[dict[str, Metric], list[dict[str, Any]]]:
    """Figures at one budget of false flags, by name, and a row for each threshold.

    Intervals are Clopper-Pearson for scans and 95 % percentile bootstrap over patients for slices.

    Args:
        budget: to hold.
        scans: to assess.
        calibration: of the bundle. Without slices in it there are no figures for slices.
        delta: probability of not holding it.
        seed: of the bootstrap.

    Raises:
        NotCalibratedError: fewer calibration scores than budget and delta ask for.
    """
    metrics: dict[str, Metric] = {}
    rows: list[dict[str, Any]] = []
    for site, some in _groups(budget, scans, calibration.healthy_scores, delta).items():
        prefix = f"{re.sub('[^a-z0-9]+', '_', site.lower())}_" if site else ""
        made_from = f"calibration scans of {site}" if site else "all calibration scans"
        scan_limit = Limit.of(_scores(calibration.healthy_scores, site), budget, delta)
        found = {
            "false_positive_rate": _false_positives(some, scan_limit, made_from),
            "sensitivity": _sensitivity(some, scan_limit, made_from),
        }
        promised = {"false_positive_rate": scan_limit}
        if calibration.highest_slices is not None:
            slice_limit = Limit.of(_scores(calibration.highest_slices, site), budget, delta)
            found["healthy_scans_with_flagged_slice"] = _flagged_scans(some, slice_limit, made_from)
            found |= _slice_figures(some, slice_limit, made_from, seed)
            promised["healthy_scans_with_flagged_slice"] = slice_limit
        for name, metric in found.items():
            if metric is None:
                continue
            full = f"{prefix}{name}_at_{budget.name}"
            metrics[full] = metric
            if name in promised:
                promise = promised[name].promise(metric.n)
                metrics[full + PREDICTED] = promise
                rows.append(_row(name, made_from, promised[name], metric, promise))
    return metrics, rows


def _groups(
    budget: Budget,
    scans: Sequence[Scored],
    calibrated: Mapping[str, Sequence[float]],
    delta: float,
) -> dict[str, Sequence[Scored]]:
    """Scans to assess by the site whose calibration scans they are held against; "" for all."""
    enough = budget.smallest_count(delta)
    healthy = {scan.site for scan in scans if scan.label == "healthy"}
    own = [
        site
        for site, scores in calibrated.items()
        if len(calibrated) > 1 and len(scores) >= enough and site in healthy
    ]
    return {"": scans} | {site: [scan for scan in scans if scan.site == site] for site in own}


def _scores(by_site: Mapping[str, Sequence[float]], site: str) -> list[float]:
    wanted = [by_site[site]] if site else by_site.values()
    return [score for scores in wanted for score in scores]


def _false_positives(scans: Sequence[Scored], limit: Limit, made_from: str) -> Metric | None:
    above = [scan.score > limit.threshold for scan in _scored_healthy(scans)]
    return _proportion(
        above,
        f"share of the healthy scans that got a score with one above {limit.threshold:.4f}, the "
        f"exact threshold of {limit.budget} from {made_from}",
    )


def _sensitivity(scans: Sequence[Scored], limit: Limit, made_from: str) -> Metric | None:
    above = [scan.score > limit.threshold for scan in scans if scan.label == "abnormal"]
    return _proportion(
        above,
        f"share of the abnormal scans with a score above {limit.threshold:.4f}, the exact "
        f"threshold of {limit.budget} from {made_from}; one without a score is not found",
    )


def _flagged_scans(scans: Sequence[Scored], limit: Limit, made_from: str) -> Metric | None:
    above = [bool((scan.slices > limit.threshold).any()) for scan in _scored_healthy(scans)]
    return _proportion(
        above,
        f"share of the healthy scans that got a score with any slice above {limit.threshold:.4f}, "
        f"the exact threshold of {limit.budget} from the highest slice of each of {made_from}",
    )


def _scored_healthy(scans: Sequence[Scored]) -> list[Scored]:
    return [scan for scan in scans if scan.label == "healthy" and np.isfinite(scan.score)]


def _proportion(counted: Sequence[bool], definition: str) -> Metric | None:
    if not counted:
        return None
    return proportion(sum(counted), len(counted), definition)


def _slice_figures(
    scans: Sequence[Scored], limit: Limit, made_from: str, seed: int
) -> dict[str, Metric | None]:
    """Shares of slices above the threshold: with lesion, of each size, and without."""
    subjects = sorted({scan.subject for scan in scans})
    counts = patient_counts(len(subjects), generator(seed, "flagged slices bootstrap"))
    slices = np.concatenate(
        [np.empty((0, 3))] + [_slices(scan, subjects.index(scan.subject)) for scan in scans]
    )
    patient, lesion_px = slices[:, 0].astype(np.int64), slices[:, 1]
    flagged = slices[:, 2] > limit.threshold

    def share(some: NDArray[np.bool_], what: str) -> Metric | None:
        return share_of(
            flagged,
            some,
            patient,
            counts,
            unit="slices",
            definition=f"share of {what} with a score above {limit.threshold:.4f}, the exact "
            f"threshold of {limit.budget} from the highest slice of each of {made_from}; of "
            f"{len(np.unique(patient[some]))} patients whose scans got a score",
        )

    figures = {
        "slice_sensitivity": share(
            lesion_px > 0, "slices with lesion (one without a score is not found)"
        )
    }
    for size, (fewest, most) in SIZES.items():
        fits = (lesion_px >= fewest) & (lesion_px <= (np.inf if most is None else most))
        what = f"slices with {size.replace('_', ' ').removesuffix(' px')} pixels (2 mm) of lesion"
        figures[f"slice_sensitivity_{size}"] = share(fits, what)
    figures["slice_false_flag_rate"] = share(
        lesion_px == 0, "slices that got a score, without lesion and two or more from one"
    )
    return figures


def _slices(scan: Scored, patient: int) -> NDArray[np.float64]:
    """Patient, pixels of lesion and score (-inf for none) of each slice that counts, (n, 3)."""
    if scan.lesion_px is None or not scan.slices.size:
        return np.empty((0, 3))
    lesion = scan.lesion_px > 0
    beside = ndimage.binary_dilation(lesion) & ~lesion
    scored = np.isfinite(scan.slices)
    counts = lesion | (scored & ~beside)
    scores = np.where(scored, scan.slices, -np.inf)
    rows = np.column_stack([np.full(len(scores), patient), scan.lesion_px, scores])[counts]
    return np.asarray(rows, dtype=np.float64)


def _row(name: str, made_from: str, limit: Limit, came: Metric, promise: Metric) -> dict[str, Any]:
    return {
        "rate": name,
        "calibrated_on": made_from,
        "budget": str(limit.budget),
        "alpha": limit.budget.alpha if isinstance(limit.budget, Rate) else None,
        "delta": limit.delta,
        "rank": limit.rank,
        "calibration_scans": limit.calibrated,
        "threshold": limit.threshold,
        "healthy_scans": came.n,
        "flagged": round(came.value * came.n),
        "band_low": round(promise.low * came.n),
        "band_high": round(promise.high * came.n),
        "inside": promise.low <= came.value <= promise.high,
    }
