"""Which lesions are found, and which healthy slices left alone, whatever is done to the image up to
an L2 norm.

What is assessed is the smoothed score (`defences/smoothing.py`): the median of the score under
Gaussian noise, which is a score of its own. Noise moves the distribution of the scores, so that a
threshold of clean scores means nothing for it: its threshold here is its own median's at 90 %
specificity on the lesion-free slices that are assessed, taken anew in each resample.

At each radius every slice is taken at its worst: one with lesion at its lower bound, one without at
its upper. The norm is over all voxels of a scan's stack on the model's grid: the bounds of a slice
hold wherever in the stack the change lies, so also for one that is spent on this slice alone.
"""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mri_guard.anomaly import VaeScorer
from mri_guard.defences import Smoothed, bounds, largest_radius, ranks, smoothed
from mri_guard.defences.smoothing import CONFIDENCE
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.detection import Case, counted, read_cases, slice_positions
from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine, resampled
from mri_guard.evaluation.robustness.attacked import CODE
from mri_guard.journey import Kit
from mri_guard.kept import code_digest, digest_of, digest_of_arrays, keep
from mri_guard.metrics.bootstrap import DRAWS, patient_counts
from mri_guard.metrics.by_patient import Counts, Slices, Values
from mri_guard.readers.manifest import digest, read_manifest
from mri_guard.records import Anomaly, Preprocessed

SIGMA = 0.25
"""Of the noise, normalised intensity."""

NOISE_DRAWS = 300
"""Of the noise, for each scan."""

RADII = (0.0, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0)
"""L2 norms, normalised intensity."""

CLEAN_SPECIFICITY = 0.9
"""That the smoothed score's own threshold has where nothing is attacked."""

AUROC, SENSITIVITY, SPECIFICITY = (
    "certified_matched_slice_auroc",
    "certified_slice_sensitivity",
    "certified_slice_specificity",
)
CURVES = {AUROC: (30, 90, 200), SENSITIVITY: (200, 60, 40), SPECIFICITY: (40, 140, 70)}
"""Figures that depend on the radius, and their colour in the picture."""

_AT = (
    "for every change of a scan's stack on the model's grid up to an L2 norm of {radius:g} in "
    "normalised intensity, at {confidence:g} confidence in each slice: median-smoothed slice score "
    "under Gaussian noise of {sigma:g}, {draws} draws"
)
_THRESHOLD = (
    "above the median's own threshold at 90 % specificity on the lesion-free slices assessed, "
    "taken anew in each resample"
)
_DEFINITIONS = {
    AUROC: "AUROC over pairs of slices within 0.05 of the brain's extent, lesion slices at their "
    "lower bound against lesion-free slices at their upper, " + _AT,
    SENSITIVITY: f"share of lesion slices whose lower bound lies {_THRESHOLD}, " + _AT,
    SPECIFICITY: f"share of lesion-free slices whose upper bound does not lie {_THRESHOLD}, " + _AT,
}


@dataclass(frozen=True, slots=True, eq=False)
class Certified:
    """Slices of all patients with their bounds at one radius.

    Attributes:
        low: float64, (n,), lower bound of each slice's smoothed score; -inf where there is none.
        high: float64, (n,), upper.
        median: float64, (n,), of the draws: what the smoothed score's threshold is taken from.
        slices: truth, position and patient of each; its scores are not looked at.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    median: NDArray[np.float64]
    slices: Slices

    def auroc(self, counts: Counts) -> Values:
        """Matched AUROC, every slice at its worst, (draws,)."""
        worst = np.where(self.slices.truth, self.low, self.high)
        return replace(self.slices, scores=worst).matched_auroc(counts)

    def sensitivity(self, counts: Counts) -> Values:
        """Share of lesion slices that no change within the radius takes below the threshold."""
        truth = self.slices.truth
        return self._share(counts, lambda at: self.low[truth] > at, truth)

    def specificity(self, counts: Counts) -> Values:
        """Share of lesion-free slices that no change within the radius takes above it."""
        free = ~self.slices.truth
        return self._share(counts, lambda at: self.high[free] <= at, free)

    def threshold(self, count: NDArray[np.int64]) -> float:
        """Of the smoothed score when each patient counts this often; NaN without a free slice."""
        free = ~self.slices.truth
        scores = np.repeat(self.median[free], count[self.slices.patient[free]])
        if not len(scores):
            return float("nan")
        return float(np.sort(scores)[int(np.ceil(CLEAN_SPECIFICITY * len(scores) - 1e-9)) - 1])

    def _share(
        self, counts: Counts, held: Callable[[float], NDArray[np.bool_]], which: NDArray[np.bool_]
    ) -> Values:
        patient, shares = self.slices.patient[which], np.full(len(counts), np.nan)
        for draw, count in enumerate(counts):
            weight, at = count[patient], self.threshold(count)
            if weight.sum() and np.isfinite(at):
                shares[draw] = (weight * held(at)).sum() / weight.sum()
        return shares


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """One scan's scores.

    Attributes:
        clean: float64, (z,), of the slices without noise.
        draws: of the slices under noise.
        seconds: that the draws took.
    """

    clean: NDArray[np.float64]
    draws: Smoothed
    seconds: float


def evaluate_certification(
    manifest: Path,
    splits: Sequence[str],
    kit: Kit,
    *,
    command: str,
    work: Path,
    sigma: float = SIGMA,
    draws: int = NOISE_DRAWS,
    radii: Sequence[float] = RADII,
    limit_scans: int | None = None,
    seed: int = 0,
    picture: Path | None = None,
    console: Console | None = None,
) -> Evidence:
    """Evidence for the certified figures against the radius.

    Intervals are 95 % percentile bootstrap over patients. The curve's rows stand in the table
    `curve`; where the draws are too few to bound anything at a radius its row says so and has no
    figures.

    Args:
        manifest: with lesion masks.
        splits: to assess.
        kit: from the bundle.
        command: written into the evidence.
        work: folder of scores that are kept: the same command goes on where it was interrupted.
        sigma: standard deviation of the noise, normalised intensity.
        draws: of the noise, for each scan.
        radii: L2 norms, normalised intensity.
        limit_scans: so many from the beginning; None: all.
        seed: of noise and bootstrap.
        picture: PNG of the curve; None draws none.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: no scan could be examined, or there are not slices of both kinds.
    """
    rows = [row for row in read_manifest(manifest) if row.split in splits][:limit_scans]
    subjects = sorted({row.subject for row in rows})
    cases, refused = read_cases(rows, subjects, kit, work=work, console=console, what="reading")
    known = sorted({case.subject for case in cases})
    scored = []
    with Progress(console=console, disable=console is None) as progress:
        task = progress.add_task("smoothing", total=len(cases) * draws)
        for case in cases:
            scored.append(
                _scored(
                    kit,
                    case.preprocessed,
                    sigma,
                    draws,
                    seed,
                    folder=work,
                    progress=lambda: progress.advance(task),
                )
            )
            progress.update(task, completed=len(scored) * draws)
    base = _certified(cases, scored, known, 0.0)
    if not base.slices.truth.any() or base.slices.truth.all():
        raise SettingsError(f"{len(cases)} scans; wanted slices with lesion and without")

    counts = patient_counts(len(known), generator(seed, "certification bootstrap"), DRAWS)
    settings = {"sigma": sigma, "draws": draws, "confidence": CONFIDENCE}
    metrics = _uncertified(base, counts, settings)
    curve: list[dict[str, Any]] = []
    for radius in sorted(radii):
        bounded = ranks(draws, radius / sigma)[0] > 0
        row: dict[str, Any] = {"radius": radius, **settings, "bounded": bounded}
        curve.append(row)
        if not bounded:
            continue
        certified = _certified(cases, scored, known, radius)
        row["threshold"] = certified.threshold(np.ones(len(known), dtype=np.int64))
        for name, figure in (
            (AUROC, certified.auroc),
            (SENSITIVITY, certified.sensitivity),
            (SPECIFICITY, certified.specificity),
        ):
            definition = _DEFINITIONS[name].format(radius=radius, **settings)
            metric = resampled(figure, counts, len(known), "patients", definition)
            if metric is not None:
                metrics[f"{name}_l2_{_written(radius)}"] = metric
                row |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
    metrics |= _costs(scored, sigma, draws)
    evidence = Evidence(
        kind="certification",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=seed,
        machine=machine(),
        metrics=metrics,
        tables={
            "curve": curve,
            "slices": [
                {
                    "scans": len(cases),
                    "patients": len(known),
                    "with_lesion": int(base.slices.truth.sum()),
                    "without": int((~base.slices.truth).sum()),
                }
            ],
            "refused": refused,
        },
    )
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        draw_curve(curve).save(picture)
    return evidence


def table(evidence: Evidence) -> Table:
    """The curve as a table."""
    counted_slices = evidence.tables["slices"][0]
    printed = Table(
        title=f"Certified, {counted_slices['patients']} patients, {counted_slices['with_lesion']} "
        f"slices with lesion, {counted_slices['without']} without; 95 % intervals over patients"
    )
    printed.add_column("L2 radius of the stack")
    for name in CURVES:
        printed.add_column(name.removeprefix("certified_").replace("_", " "))
    for row in evidence.tables["curve"]:
        cells = [
            f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
            if name in row
            else "–"
            if row["bounded"]
            else "too few draws"
            for name in CURVES
        ]
        printed.add_row(f"{row['radius']:g}", *cells)
    return printed


def draw_curve(curve: Sequence[dict[str, Any]]) -> Image.Image:
    """Each figure against the radius, points at the radii with their intervals, evenly spaced."""
    width, height, left, top = 720, 400, 60, 60
    image = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    across = (width - left - 30) / max(1, len(curve) - 1)
    down = height - top - 60

    def at(index: int, value: float) -> tuple[float, float]:
        return left + index * across, top + down * (1 - value)

    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        pen.line([at(0, tick), at(len(curve) - 1, tick)], (220, 220, 220))
        pen.text((left - 8, at(0, tick)[1]), f"{tick:g}", "black", font, anchor="rm")
    for index, row in enumerate(curve):
        words = f"{row['radius']:g}" + ("" if row["bounded"] else "\ntoo few\ndraws")
        pen.multiline_text((at(index, 0)[0], top + down + 8), words, "black", font, anchor="ma")
    for number, (name, color) in enumerate(CURVES.items()):
        shown = [(index, row) for index, row in enumerate(curve) if name in row]
        pen.line([at(index, row[name]) for index, row in shown], color, 2)
        for index, row in shown:
            pen.line([at(index, row[f"{name}_low"]), at(index, row[f"{name}_high"])], color, 1)
            x, y = at(index, row[name])
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), color)
        pen.text((left + 220 * number, 12), name.removeprefix("certified_"), color, font)
    pen.text((left, 34), "certified, against the L2 norm over a scan's whole stack", "black", font)
    return image


def _scored(
    kit: Kit,
    preprocessed: Preprocessed,
    sigma: float,
    draws: int,
    seed: int,
    *,
    folder: Path,
    progress: Callable[[], None],
) -> _Scored:
    """Scores of one scan, from where they are kept, or made and kept."""
    of = digest_of_arrays(preprocessed.image, preprocessed.brain, preprocessed.affine)
    scorer = kit.scorer
    scored_by = scorer.digest() if isinstance(scorer, VaeScorer) else kit.bundle_digest
    made_by = scored_by, code_digest(*CODE, "evaluation/certification.py")
    path = folder / f"{digest_of('smoothing', *made_by, of, sigma, draws, seed)}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            found = Smoothed(kept["scan"], kept["slices"], sigma)
            return _Scored(kept["clean"], found, float(kept["seconds"]))

    def watched(noisy: Preprocessed, /) -> Anomaly:
        anomaly = scorer(noisy)
        progress()
        return anomaly

    clean = scorer(preprocessed).slice_scores
    start = time.perf_counter()
    # A stream of the scan's own: what is drawn does not depend on which others are assessed.
    found = smoothed(watched, preprocessed, sigma, draws, generator(seed, "smoothing", of))
    seconds = time.perf_counter() - start
    written = io.BytesIO()
    np.savez(written, scan=found.scan, slices=found.slices, clean=clean, seconds=seconds)
    keep(path, written.getvalue())
    return _Scored(clean, found, seconds)


def _certified(
    cases: Sequence[Case], scored: Sequence[_Scored], known: Sequence[int], radius: float
) -> Certified:
    """Bounds at one radius; the `scores` of its slices are those without noise."""
    columns: list[NDArray[np.float64]] = [np.empty((0, 7))]
    for case, one in zip(cases, scored, strict=True):
        lesion = np.asarray(case.lesion.any(axis=(0, 1)))
        low, high = bounds(one.draws.slices, radius / one.draws.sigma)
        each = [low, high, np.median(one.draws.slices, axis=0), one.clean]
        # A lesion that was not looked at is not found, at any radius.
        missed = lesion & np.isnan(one.clean)
        each = [np.where(missed, -np.inf, scores) for scores in each]
        position = slice_positions(case.preprocessed.brain)
        patient = np.full(len(lesion), known.index(case.subject))
        columns.append(
            np.column_stack([*each, lesion, position, patient])[counted(lesion, one.clean)]
        )
    low, high, median, clean, truth, position, patient = np.concatenate(columns).T
    slices = Slices(clean, truth > 0, position, patient.astype(np.int64), len(known))
    return Certified(low, high, median, slices)


def _uncertified(base: Certified, counts: Counts, settings: dict[str, Any]) -> dict[str, Metric]:
    """Matched AUROC of the score itself, and of the smoothed one, where nothing is attacked."""
    smooth = replace(base.slices, scores=base.median)
    words = "AUROC over pairs of slices within 0.05 of the brain's extent, nothing attacked: "
    noise = "under Gaussian noise of {sigma:g}, {draws} draws".format(**settings)
    of = (counts, counts.shape[1], "patients")
    figures = {
        "matched_slice_auroc": resampled(base.slices.matched_auroc, *of, words + "slice score"),
        "smoothed_matched_slice_auroc": resampled(
            smooth.matched_auroc, *of, f"{words}median of the slice score {noise}"
        ),
    }
    return {name: metric for name, metric in figures.items() if metric is not None}


def _costs(scored: Sequence[_Scored], sigma: float, draws: int) -> dict[str, Metric]:
    """Seconds a slice, and how far so many draws reach."""
    each = np.array([one.seconds / max(1, np.isfinite(one.clean).sum()) for one in scored])
    low, high = np.quantile(each, [0.025, 0.975])
    reach = largest_radius(draws, sigma)
    figures = {
        "seconds_a_slice": Metric(
            value=float(each.mean()),
            low=float(low),
            high=float(high),
            n=len(each),
            unit="scans",
            definition=f"mean over scans of the time of {draws} draws over the number of slices "
            "with a score, and the middle 95 % of the scans",
        ),
    }
    if np.isfinite(reach):
        figures["largest_bounded_radius_l2"] = Metric(
            value=reach,
            low=reach,
            high=reach,
            n=draws,
            unit="draws",
            definition=f"L2 norm up to which so many draws under noise of {sigma:g} bound a score "
            f"at {CONFIDENCE:g} confidence; beyond it nothing is certified",
        )
    return figures


def _written(radius: float) -> str:
    """A radius as names carry it."""
    return f"{radius:g}".replace(".", "_")
