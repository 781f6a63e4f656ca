"""Detection figures as functions of how often each patient counts: a bootstrap without loops.

Each function takes `counts`, int64, (draws, patients), as `bootstrap.patient_counts` gives it, and
returns one value for each draw; a row of ones gives the figure on the sample itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mri_guard.metrics.ranking import Scores, Truth, pair_wins

Counts = NDArray[np.int64]
Values = NDArray[np.float64]

BINS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Pixels of each patient, counted in bins of descending score.

    Scores in one bin count as ties; with `BINS` bins of equal size that moves average precision by
    less than 0.001.

    Attributes:
        positive: int64, (patients, bins).
        negative: like positive.
        edges: float64, (bins - 2,), rising: scores between the bins; the last bin is of -inf.
    """

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]
    edges: Values

    @classmethod
    def of(cls, scores: Sequence[Scores], truth: Sequence[Truth], bins: int = BINS) -> "Pixels":
        """Counts from each patient's scores, (n_i,), and truth, bool, (n_i,)."""
        pooled = np.concatenate(scores)
        finite = pooled[np.isfinite(pooled)]
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, bins)[1:-1]))
        place = [_bins(edges, s) for s in scores]
        length = len(edges) + 2
        positive, negative = (
            np.stack(
                [
                    np.bincount(p[t == wanted], minlength=length)
                    for p, t in zip(place, truth, strict=True)
                ]
            )
            for wanted in (True, False)
        )
        return cls(positive, negative, edges)

    def average_precision(self, counts: Counts) -> Values:
        """Pixel average precision, (draws,)."""
        hits, all_ = self._cumulated(counts)
        rise = np.diff(hits, axis=1, prepend=0)
        return _ratio((rise * _ratio(hits, all_, 0)).sum(1), hits[:, -1])

    def precision_at(self, counts: Counts, recall: float) -> Values:
        """Largest precision of the thresholds that reach a recall, (draws,).

        Interpolated precision (Manning, Raghavan and Schütze 2008, section 8.4).
        """
        hits, all_ = self._cumulated(counts)
        reached = hits >= recall * hits[:, -1:] - 1e-9
        return np.asarray(np.where(reached, _ratio(hits, all_, 0), 0).max(1))

    def best_dice(self, counts: Counts) -> Values:
        """Largest Dice over all thresholds, (draws,)."""
        return np.asarray(self._dice(counts).max(1))

    def best_bin(self, counts: Counts) -> NDArray[np.int64]:
        """The last bin above the threshold of largest Dice, int64, (draws,)."""
        return np.asarray(self._dice(counts).argmax(1))

    def _dice(self, counts: Counts) -> Values:
        hits, all_ = self._cumulated(counts)
        return np.asarray(2 * hits / np.maximum(all_ + hits[:, -1:], 1))

    def _cumulated(self, counts: Counts) -> tuple[Values, Values]:
        hits = np.cumsum(counts @ self.positive, axis=1).astype(np.float64)
        return hits, hits + np.cumsum(counts @ self.negative, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Lesions:
    """Lesions that a map finds, or misses, at its own threshold of largest Dice.

    Attributes:
        pixels: of the map, which the threshold is taken from.
        scores: float64, (n,), the map's highest within each lesion; -inf where it did not look.
        patient: int64, (n,), index of the patient.
    """

    pixels: Pixels
    scores: Scores
    patient: NDArray[np.int64]

    def found(self, counts: Counts) -> Values:
        """Share of lesions found, (draws,), each draw at its own threshold; NaN without lesions."""
        place = _bins(self.pixels.edges, self.scores)
        seen = (place <= self.pixels.best_bin(counts)[:, None]) & np.isfinite(self.scores)
        weight = counts[:, self.patient].astype(np.float64)
        return _ratio((weight * seen).sum(1), weight.sum(1))


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """Slices of all patients.

    Attributes:
        scores: float64, (n,); -inf where a lesion was not looked at.
        truth: bool, (n,), whether the slice shows a lesion.
        position: float64, (n,), 0..1 along the brain.
        patient: int64, (n,), index of the patient.
        patients: how many there are.
    """

    scores: Scores
    truth: Truth
    position: Values
    patient: NDArray[np.int64]
    patients: int

    def auroc(self, counts: Counts) -> Values:
        """Over all pairs of a slice with a lesion and one without, (draws,)."""
        return self._auroc(np.ones(self._pairs), counts)

    def matched_auroc(self, counts: Counts, within: float = 0.05) -> Values:
        """Over pairs whose positions differ by at most `within`, (draws,).

        Pairs are weighted so that each lesion slice counts alike, however many slices match it.
        """
        near = np.abs(self._difference) <= within + 1e-9
        weights = near / np.maximum(near.sum(1, keepdims=True), 1)
        return self._auroc(weights, counts)

    def within_subject_auroc(self, counts: Counts) -> Values:
        """Mean over patients of the AUROC among the patient's own slices, (draws,).

        Patients with both kinds of slice alone.
        """
        positive, negative = self.patient[self.truth], self.patient[~self.truth]
        wins = pair_wins(self.scores[self.truth], self.scores[~self.truth])
        own = np.full(self.patients, np.nan)
        for patient in range(self.patients):
            pairs = wins[np.ix_(positive == patient, negative == patient)]
            if pairs.size:
                own[patient] = pairs.mean()
        known = np.isfinite(own)
        draws = counts[:, known].astype(np.float64)
        return _ratio(draws @ own[known], draws.sum(1))

    def sensitivity_at(self, counts: Counts, specificity: float = 0.9) -> Values:
        """Share of lesion slices above the lowest threshold of that specificity, (draws,)."""
        order = np.argsort(-self.scores, kind="stable")
        scores, truth = self.scores[order], self.truth[order]
        weight = counts[:, self.patient[order]]
        hits = np.cumsum(weight * truth, axis=1)
        alarms = np.cumsum(weight * ~truth, axis=1)
        # A threshold between two slices of one score does not exist.
        ends = np.append(scores[1:] != scores[:-1], True) & np.isfinite(scores)
        allowed = (alarms <= (1 - specificity) * alarms[:, -1:] + 1e-9) & ends
        found = np.where(allowed, hits, 0).max(1)
        return _ratio(found.astype(np.float64), hits[:, -1].astype(np.float64))

    @property
    def _pairs(self) -> tuple[int, int]:
        return int(self.truth.sum()), int((~self.truth).sum())

    @property
    def _difference(self) -> Values:
        return self.position[self.truth][:, None] - self.position[~self.truth][None, :]

    def _auroc(self, weights: Values, counts: Counts) -> Values:
        """Weighted share of pairs won: summed to patients first, so that draws are cheap."""
        wins = pair_wins(self.scores[self.truth], self.scores[~self.truth])
        positive, negative = (
            np.equal.outer(np.arange(self.patients), self.patient[kind]).astype(np.float64)
            for kind in (self.truth, ~self.truth)
        )
        won = positive @ (wins * weights) @ negative.T
        all_ = positive @ weights @ negative.T
        draws = counts.astype(np.float64)
        quadratic = [np.einsum("da,ab,db->d", draws, table, draws) for table in (won, all_)]
        return _ratio(quadratic[0], quadratic[1])


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """A value of each of some things, to be averaged within patients and then over them.

    Attributes:
        values: float64, (n,).
        patient: int64, (n,), index of the patient.
        patients: how many there are.
    """

    values: Values
    patient: NDArray[np.int64]
    patients: int

    def mean(self, counts: Counts) -> Values:
        """Mean over patients of their own means, (draws,); NaN without any."""
        n = np.bincount(self.patient, minlength=self.patients)
        sums = np.bincount(self.patient, self.values, minlength=self.patients)
        known = n > 0
        weight = counts[:, known].astype(np.float64)
        return _ratio(weight @ (sums[known] / n[known]), weight.sum(1))


def _bins(edges: Values, scores: Scores) -> NDArray[np.int64]:
    """Bin of each score, by falling score; -inf, which a missed pixel scores, has the last."""
    place = len(edges) - np.searchsorted(edges, scores, "right")
    return np.where(np.isneginf(scores), len(edges) + 1, place)


def _ratio(part: Values, whole: Values, otherwise: float = np.nan) -> Values:
    """part / whole, and `otherwise` where whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, otherwise)
