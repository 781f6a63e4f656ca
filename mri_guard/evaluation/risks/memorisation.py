"""Memorisation: are restorations pulled towards the scans of the training, and can it be told who
was among them?

Slices are compared at like places alone: each is spread over one grid by the bounding box of its
brain, on the scale on which a brain's median is 0.7 (`View`), and only with slices within 0.05
of the brain's extent. The distance of two is the root mean square difference over the places
that lie in both brains. Only slices count that the training would learn from (no lesion in their
window), so that none is far for its lesion.

**Distance.** A model that copies gives back its training (data copying: Meehan, Chaudhuri and
Dasgupta 2020, arXiv:2004.05675; van den Burg and Williams 2021, arXiv:2106.03216). The
restoration of an unseen slice is compared with the slice itself: which is nearer to its nearest
training slice? Restorations are smoother, and what is smoother is nearer to every image; so the
same is asked for the nearest slice of the other unseen patients, and the *pull* is the first
ratio over the second: 1 where training slices draw no more than unseen ones do, below 1 where
they do.

**Membership.** One who holds a scan guesses whether its patient was trained on. Slices of
trained patients against unseen ones, each measured against all slices within 0.05 of the brain's
extent. What is asked: the anomaly score; the error of restoration, which the training minimised
(Yeom et al. 2018, arXiv:1709.01604); that error over the error of a Gaussian blur, which takes
out how hard the slice is for anybody (Watson et al. 2022, arXiv:2111.08440); and that of the
blur alone, which knows no model: what it tells, the two groups of patients differ in. Shadow
models (Carlini et al. 2022, arXiv:2112.03570) would be stronger still, and need many trainings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import comb
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mri_guard.anomaly.residual import smooth
from mri_guard.determinism import generator
from mri_guard.evaluation.evidence import Metric, resampled
from mri_guard.evaluation.risks.scene import Examined
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.metrics.by_patient import Counts, Means, Slices, Values

SIDE = 48
"""Rows and columns of the grid that brains are compared on."""

WITHIN = 0.05
"""Share of the brain's extent that two slices may lie apart."""

OVERLAP = 0.5
"""Two slices are compared where they share this much of the first one's brain."""

SMALLEST = 1e-6
"""Distance that counts as none."""

BLUR_PX = 1.5
"""Standard deviation of the blur that stands for a restoration of nobody's."""

SPECIFICITY = 0.99

ATTACKERS = {
    "score": "the anomaly score of the slice",
    "error": "the mean absolute error of restoration",
    "calibrated_error": "the mean absolute error of restoration over that of a Gaussian blur",
    "without_model": "the mean absolute error of a Gaussian blur, which knows no model: a control "
    "of whether the two groups of patients differ anyway",
}
"""What is taken for a sign of membership where it is low."""


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Slices on one grid, by patient.

    Attributes:
        image: float64, (n, places), units of `View`.
        inside: bool, (n, places), brain.
        position: float64, (n,), along the brain, 0..1.
        patient: int64, (n,).
    """

    image: NDArray[np.float64]
    inside: NDArray[np.bool_]
    position: NDArray[np.float64]
    patient: NDArray[np.int64]


def aligned(scans: Sequence[Examined], *, restored: bool = False) -> Aligned:
    """The slices that training would learn from, as they are or as restored."""
    images, insides, positions, patients = [], [], [], []
    for scan in scans:
        subject, free = scan.subject, scan.subject.centres
        if not len(free):
            continue
        rows, columns = (
            int(np.flatnonzero(subject.brain.any(axis=other))[-1]) + 1 for other in ((0, 2), (0, 1))
        )
        both = np.stack([scan.restored if restored else subject.image, subject.brain])
        cut = torch.from_numpy(both[:, free, :rows, :columns].astype(np.float32))
        spread = functional.interpolate(
            cut, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
        )
        image, inside = spread.flatten(2).double().numpy()
        images.append(np.asarray(image))
        insides.append(np.asarray(inside) >= 0.5)
        positions.append(scan.position[free])
        patients.append(np.full(len(free), scan.patient, dtype=np.int64))
    return Aligned(
        np.concatenate(images),
        np.concatenate(insides),
        np.concatenate(positions),
        np.concatenate(patients),
    )


def nearest(these: Aligned, others: Aligned, *, own_too: bool) -> Values:
    """Distance of each slice to the nearest of each other patient's at a like place, (n, patients);
    inf where a patient has none.

    Args:
        these: to measure from.
        others: to measure to.
        own_too: whether slices of the same number of patient may be the nearest.
    """
    mine, theirs = these.inside.astype(np.float64), others.inside.astype(np.float64)
    one, other = these.image * mine, others.image * theirs
    shared = mine @ theirs.T
    squares = np.square(one) @ theirs.T - 2 * one @ other.T + mine @ np.square(other).T
    allowed = np.abs(these.position[:, None] - others.position[None]) <= WITHIN + 1e-9
    allowed &= shared >= OVERLAP * np.maximum(mine.sum(1, keepdims=True), 1)
    if not own_too:
        allowed &= these.patient[:, None] != others.patient[None]
    distance = np.sqrt(np.maximum(squares, 0) / np.maximum(shared, 1))
    distance = np.where(allowed, distance, np.inf)
    return np.stack(
        [distance[:, others.patient == one].min(1) for one in np.unique(others.patient)], axis=1
    )


def log_nearest(distances: Values, among: NDArray[np.int64]) -> Values:
    """Expected logarithm of the nearest distance among so many patients drawn at random, (n,).

    The nearest of k out of m is the j-th smallest with probability C(m - j, k - 1) / C(m, k).

    Args:
        distances: as `nearest` gives them, (n, patients).
        among: int64, (n,), patients drawn, no more than there are at a like place; NaN for 0.
    """
    out = np.full(len(distances), np.nan)
    for index, (row, k) in enumerate(zip(distances, map(int, among), strict=True)):
        known = np.sort(row[np.isfinite(row)])
        m = len(known)
        if k > 0:
            odds = [comb(m - j, k - 1) / comb(m, k) for j in range(1, m - k + 2)]
            out[index] = np.log(np.maximum(known[: m - k + 1], SMALLEST)) @ np.array(odds)
    return out


def distances(
    members: Sequence[Examined], unseen: Sequence[Examined], counts: Counts
) -> dict[str, Metric]:
    """How near unseen slices and their restorations are to the training, with intervals over the
    unseen patients; what can be near stays as it is.

    Args:
        members: scans of the training.
        unseen: scans of other patients.
        counts: of the unseen patients.
    """
    trained, own = aligned(members), aligned(unseen)
    restored = aligned(unseen, restored=True)
    to_training, to_others = (
        [nearest(these, those, own_too=own_too) for these in (restored, own)]
        for those, own_too in ((trained, True), (own, False))
    )
    m = [np.isfinite(each[1]).sum(1) for each in (to_training, to_others)]
    among = np.minimum(m[0], m[1])
    known = among > 0
    if not known.any():
        return {}
    patient, patients = own.patient[known], counts.shape[1]
    all_ = m[0][known]
    near = [log_nearest(each[known], all_) for each in to_training]
    moved = [
        np.subtract(*(log_nearest(each[known], among[known]) for each in both))
        for both in (to_training, to_others)
    ]

    def by_patient(values: Values) -> Means:
        return Means(values, patient, patients)

    where = (
        f"root mean square difference inside both brains, on a {SIDE} x {SIDE} grid over the "
        f"brain's bounding box and a scale on which a brain's median is 0.7, to the nearest slice "
        f"within {WITHIN:g} of the brain's extent; lesion-free slices, mean over patients of their "
        "means"
    )
    figures: dict[str, tuple[Callable[[Counts], Values], str]] = {
        "memorisation_distance_restored": (
            by_patient(np.exp(near[0])).mean,
            f"restorations of unseen slices to the nearest training slice: {where}",
        ),
        "memorisation_distance_unseen": (
            by_patient(np.exp(near[1])).mean,
            f"unseen slices themselves to the nearest training slice: {where}",
        ),
        "memorisation_distance_ratio": (
            lambda drawn: np.exp(by_patient(near[0] - near[1]).mean(drawn)),
            "geometric mean ratio of the restoration's distance to the nearest training slice and "
            "the unseen slice's own; below 1 for any smoothing too, see memorisation_pull; "
            f"{where}",
        ),
        "memorisation_pull": (
            lambda drawn: np.exp(by_patient(moved[0] - moved[1]).mean(drawn)),
            "memorisation_distance_ratio over the same ratio for the nearest slice of the other "
            "unseen patients in place of the training's, among as many patients: 1 where "
            "restorations come no nearer to trained people than to people never seen, below 1 "
            f"where they do; {where}",
        ),
    }
    found = {
        name: resampled(
            figure, counts, len(np.unique(patient)), "patients", definition, within=None
        )
        for name, (figure, definition) in figures.items()
    }
    return {name: metric for name, metric in found.items() if metric is not None}


def membership(
    members: Sequence[Examined], unseen: Sequence[Examined], seed: int
) -> tuple[dict[str, Metric], list[dict[str, Any]]]:
    """Figures of each attacker, with intervals over patients, members and others drawn apart; and a
    row of each.

    Args:
        members: scans of the training; patients numbered from 0.
        unseen: scans of others, numbered from 0 too.
        seed: of the bootstrap.
    """
    trained, others = signs(members), signs(unseen)
    n = [max((scan.patient for scan in scans), default=-1) + 1 for scans in (members, unseen)]
    counts = np.hstack(
        [
            patient_counts(count, generator(seed, "membership bootstrap", group))
            for group, count in zip(("members", "unseen"), n, strict=True)
        ]
    )
    truth = np.repeat([True, False], [len(trained["patient"]), len(others["patient"])])
    both = {name: np.concatenate([trained[name], others[name]]) for name in trained}
    patient = both["patient"].astype(np.int64) + np.where(truth, 0, n[0])
    metrics: dict[str, Metric] = {}
    rows = []
    for attacker, asked in ATTACKERS.items():
        low = -at_like_places(both[attacker], both["position"])
        slices = Slices(low, truth, both["position"], patient, sum(n))
        people = np.unique(patient)
        means = np.array([low[patient == one].mean() for one in people])
        persons = Slices(means, people < n[0], np.zeros(len(people)), people, sum(n))
        sign = (
            f"sign of membership: {asked}, low, in spreads of all slices within {WITHIN:g} of the "
            "brain's extent; members are patients of the train split, the others were never seen; "
            "lesion-free slices; 0.5 where nothing leaks"
        )
        figures = {
            f"membership_inference_auroc_{attacker}": resampled(
                slices.matched_auroc,
                counts,
                len(people),
                "patients",
                f"AUROC over pairs of slices within {WITHIN:g} of the brain's extent; {sign}",
            ),
            f"membership_inference_patient_auroc_{attacker}": resampled(
                persons.auroc,
                counts,
                len(people),
                "patients",
                f"AUROC over pairs of patients, each by the mean of their slices; {sign}",
            ),
            f"membership_inference_tpr_at_1_fpr_{attacker}": resampled(
                partial(slices.sensitivity_at, specificity=SPECIFICITY),
                counts,
                int((~truth).sum()),
                "slices of patients never seen",
                "share of the members' slices that are told at a false-positive rate of 1 % "
                f"(Carlini et al. 2022, arXiv:2112.03570); 0.01 where nothing leaks; {sign}",
            ),
        }
        found = {name: metric for name, metric in figures.items() if metric is not None}
        metrics |= found
        rows.append(
            {"attacker": attacker}
            | {
                name[len("membership_inference_") : -len(attacker) - 1]: metric.value
                for name, metric in found.items()
            }
            | {"member_slices": int(truth.sum()), "unseen_slices": int((~truth).sum())}
        )
    return metrics, rows


def signs(scans: Sequence[Examined]) -> dict[str, Values]:
    """What each attacker asks of each lesion-free slice, its position and its patient, (n,) each;
    slices without a score are left out.
    """
    found: dict[str, list[Values]] = {name: [] for name in (*ATTACKERS, "position", "patient")}
    for scan in scans:
        subject = scan.subject
        free = subject.centres[np.isfinite(scan.scores[subject.centres])]
        inside = torch.from_numpy(subject.brain)
        blurred = smooth(torch.from_numpy(subject.image), inside, BLUR_PX, 0).numpy()
        voxels = subject.brain[free].sum((1, 2))
        error, blur = (
            (np.abs(subject.image - other) * subject.brain)[free].sum((1, 2), dtype=np.float64)
            / voxels
            for other in (scan.restored, blurred)
        )
        values = {
            "score": scan.scores[free],
            "error": error,
            "calibrated_error": error / np.maximum(blur, 1e-6),
            "without_model": blur,
            "position": scan.position[free],
            "patient": np.full(len(free), scan.patient, dtype=np.float64),
        }
        for name, each in values.items():
            found[name].append(each)
    return {name: np.concatenate(each) if each else np.empty(0) for name, each in found.items()}


def at_like_places(values: Values, position: Values) -> Values:
    """Each value less the median of those at a like place, over their median absolute deviation."""
    near = np.abs(position[:, None] - position[None]) <= WITHIN + 1e-9
    out = np.empty_like(values)
    for index, those in enumerate(near):
        middle = np.median(values[those])
        spread = np.median(np.abs(values[those] - middle))
        out[index] = (values[index] - middle) / max(1.4826 * float(spread), 1e-9)
    return out
