"""A site's own scans through the bundle's journey, and what their scores say of its thresholds."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mri_guard.bundle import Calibration
from mri_guard.calibration import Budget, VennAbers, largest
from mri_guard.calibration.contamination import WhatIf, what_if
from mri_guard.decision import PERTURBED
from mri_guard.determinism import generator
from mri_guard.errors import InputError
from mri_guard.journey import Kit, examine
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.metrics.two_samples import TwoSamples, compared
from mri_guard.readers.manifest import ManifestRow
from mri_guard.readers.sources import open_sources
from mri_guard.records import Anomaly, Contrast, Finite, Journey, Record, Share
from mri_guard.training.calibrate import scan_scores

DOUBTFUL = 0.05
"""Up to this p-value of both tests together a warning is given."""


class Counted(Record):
    """A share of scans with its exact 95 % interval.

    Attributes:
        count: of them.
        n: of all, at least 1.
        low: lower end.
        high: upper end.
    """

    count: int
    n: int
    low: Share
    high: Share

    @classmethod
    def of(cls, count: int, n: int) -> "Counted":
        """So many of n."""
        low, high = clopper_pearson(count, n)
        return cls(count=count, n=n, low=low, high=high)

    def __str__(self) -> str:
        """In words."""
        return f"{self.count} of {self.n} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Seen:
    """Where one scan of the site ended.

    Attributes:
        label: `healthy` or `abnormal`.
        site: where it comes from.
        scores: the scan's and its highest slice's; None where the journey ended before the model.
        reasons: of the decision without a second look.
    """

    label: str
    site: str
    scores: tuple[float, float] | None
    reasons: tuple[str, ...]


class SiteReport(Record):
    """What a site's own scans say of the old thresholds and of the new.

    Attributes:
        budget: of false flags, in words.
        delta: probability of not holding it.
        rank: the new threshold is the k-th largest ...
        healthy: ... of so many healthy scores, one of each person.
        threshold: the new one.
        threshold_before: the bundle's own.
        flagged_before: healthy scans above the bundle's own.
        held: of the healthy scans with a score, those held as perturbed.
        unscored: healthy scans that never reached the model, by the first reason.
        found: abnormal scans above the new threshold, one without a score not found; None without
            abnormal scans in the manifest.
        exchangeable: the site's healthy scores against the bundle's.
        abnormal_from: where the abnormal scores of the what-ifs come from: `manifest`, `bundle`
            or, without any, empty.
        what_if: the new threshold if some of the healthy scans are not.
        warnings: in the words of the guarantee; empty where nothing speaks against it.
    """

    budget: str
    delta: float
    rank: int
    healthy: int
    threshold: Finite
    threshold_before: Finite
    flagged_before: Counted
    held: Counted
    unscored: dict[str, int]
    found: Counted | None
    exchangeable: TwoSamples
    abnormal_from: str
    what_if: tuple[WhatIf, ...]
    warnings: tuple[str, ...]


def one_a_person(rows: Sequence[ManifestRow]) -> tuple[ManifestRow, ...]:
    """The first healthy scan of each person, and every abnormal one.

    Scans of one person resemble each other: counted one by one they would promise more than they
    can keep. The first is taken whatever becomes of it: the choice depends on no score.
    """
    people: set[str] = set()
    kept = []
    for row in rows:
        if row.label == "abnormal" or row.subject not in people:
            kept.append(row)
        if row.label == "healthy":
            people.add(row.subject)
    return tuple(kept)


def journeys(
    kit: Kit, rows: Sequence[ManifestRow], work: Path, progress: Callable[[], None] = lambda: None
) -> Iterator[tuple[Journey | None, tuple[str, ...]]]:
    """Each scan's journey, as the hospital would have had it but for a second look: nothing here
    depends on it, and it costs many screenings. None where the scan cannot be opened; and the
    reasons of the decision.

    Args:
        kit: from the bundle.
        rows: of the scans.
        work: folder that archives may be extracted into.
        progress: called after each scan.
    """
    kit = replace(kit, second_look=None)
    for row in rows:
        try:
            (source, *_) = open_sources(row.scan, work, row.contrast or Contrast.UNKNOWN)
        except InputError as error:
            yield None, (error.reason,)
        else:
            journey = examine(source, kit)
            yield journey, journey.examination.decision.reasons
        progress()


def scored(journey: Journey | None) -> Anomaly | None:
    """What the model found; None where the journey ended before its score meant anything."""
    if journey is None or journey.examination.calibrated is None:
        return None
    return journey.anomaly


def seen_by(
    kit: Kit, rows: Sequence[ManifestRow], work: Path, progress: Callable[[], None] = lambda: None
) -> tuple[Seen, ...]:
    """Where each scan ends; arguments as `journeys`."""
    every = []
    for row, (journey, reasons) in zip(rows, journeys(kit, rows, work, progress), strict=True):
        anomaly = scored(journey)
        scores = scan_scores(anomaly) if anomaly else None
        every.append(Seen(row.label, row.site, scores, reasons))
    return tuple(every)


def site_calibration(
    before: Calibration, seen: Sequence[Seen], *, probability: bool
) -> Calibration:
    """A bundle's calibration with a site's healthy scans in the place of its own.

    The detectors' and the voxel checks' stay as they are: neither looks at these scores. A second
    look is left out, for its thresholds are of other scans; so is a probability.

    Args:
        before: of the bundle.
        seen: scans of the site.
        probability: whether its abnormal scans shall give a probability of abnormality.

    Raises:
        NotCalibratedError: a probability without abnormal scans, or without healthy ones.
    """
    groups = sorted({one.site for one in seen if one.label == "healthy" and one.scores})

    def by_group(place: int) -> dict[str, tuple[float, ...]]:
        return {
            group: tuple(
                one.scores[place]
                for one in seen
                if one.label == "healthy" and one.site == group and one.scores
            )
            for group in groups
        }

    healthy, abnormal = (scores_of(seen, label) for label in ("healthy", "abnormal"))
    return before.model_copy(
        update={
            "healthy_scores": by_group(0),
            "highest_slices": by_group(1),
            "second_look": None,
            "labelled": VennAbers.fit(healthy, abnormal).labelled if probability else None,
        }
    )


def scores_of(seen: Sequence[Seen], label: str) -> tuple[float, ...]:
    """Of the scans of a label that have one."""
    return tuple(one.scores[0] for one in seen if one.label == label and one.scores)


def report(
    before: Calibration,
    threshold_before: float,
    perturbation_alpha: float,
    seen: Sequence[Seen],
    *,
    budget: Budget,
    delta: float,
    seed: int,
) -> SiteReport:
    """What the site's scans say.

    Args:
        before: calibration of the bundle.
        threshold_before: of the bundle.
        perturbation_alpha: share of clean scans that the bundle may hold as perturbed.
        seen: scans of the site.
        budget: of the new threshold.
        delta: of the new threshold.
        seed: of shuffles and of what is mixed in.

    Raises:
        NotCalibratedError: too few healthy scans with a score.
    """
    healthy = scores_of(seen, "healthy")
    rank = budget.rank(len(healthy), delta)
    threshold = largest(healthy, rank)
    own = [score for scores in before.healthy_scores.values() for score in scores]
    like = compared(healthy, own, generator(seed, "exchangeable"))
    ill = [one for one in seen if one.label == "abnormal"]
    abnormal = scores_of(seen, "abnormal")
    origin = "manifest" if abnormal else ""
    if not abnormal and before.labelled is not None:
        abnormal, origin = before.labelled.abnormal, "bundle"
    scored = [one for one in seen if one.label == "healthy" and one.scores]
    unscored = [one for one in seen if one.label == "healthy" and not one.scores]
    held = Counted.of(sum(PERTURBED in one.reasons for one in scored), len(scored))
    return SiteReport(
        budget=str(budget),
        delta=delta,
        rank=rank,
        healthy=len(healthy),
        threshold=threshold,
        threshold_before=threshold_before,
        flagged_before=Counted.of(sum(s > threshold_before for s in healthy), len(healthy)),
        held=held,
        unscored=dict(Counter(one.reasons[0] for one in unscored)),
        found=Counted.of(sum(s > threshold for s in scores_of(ill, "abnormal")), len(ill))
        if ill
        else None,
        exchangeable=like,
        abnormal_from=origin,
        what_if=what_if(healthy, abnormal, budget, delta, rng=generator(seed, "contamination")),
        warnings=_warnings(like, held, perturbation_alpha),
    )


def _warnings(like: TwoSamples, held: Counted, perturbation_alpha: float) -> tuple[str, ...]:
    said = []
    if like.p_value <= DOUBTFUL:
        said.append(
            "the site's healthy scans are not exchangeable with the bundle's calibration scans "
            f"(p = {like.p_value:.3g} of both tests): what the bundle promises for clean scans "
            "exchangeable with those it does not promise for this site; the new threshold rests on "
            "the site's scans alone"
        )
    if held.low > perturbation_alpha:
        said.append(
            f"{held} healthy scans were held as perturbed, more than the {perturbation_alpha:g} "
            "that the detectors promise for clean scans exchangeable with theirs: "
            "`mri-guard calibrate-detectors` with this site's scans"
        )
    return tuple(said)
