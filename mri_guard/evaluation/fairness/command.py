"""Whether the bundle serves some people worse: groups by a manifest's columns, clean and attacked.

Scans go through the whole journey, as in the hospital. What counts are scans, and slices of images
where a lesion was drawn or the scan is healthy; intervals and tests are over patients, whose slices
are not independent. Under attack the detectors are not asked: what the score alone does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mri_guard.attacks import Attack, Threat
from mri_guard.calibration import exact_threshold, smallest_count
from mri_guard.determinism import generator
from mri_guard.errors import InputError, SettingsError
from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine, suffix
from mri_guard.evaluation.fairness.assessed import (
    UNITS,
    Assessed,
    Pushed,
    Unit,
    assessed,
    by_patient,
    cohort,
    pushed,
)
from mri_guard.evaluation.robustness.targets import bench_of
from mri_guard.evaluation.screened import Screened, screened
from mri_guard.fairness import (
    SHARES,
    UNKNOWN,
    Estimate,
    Groups,
    Rate,
    RateGaps,
    banded,
    group_figures,
    rate_gaps,
    strata_of,
    worst_slice,
)
from mri_guard.fairness.figures import rate_figures
from mri_guard.fairness.gaps import CLAIM
from mri_guard.journey import Kit
from mri_guard.metrics.bootstrap import DRAWS, patient_counts
from mri_guard.metrics.by_patient import Counts
from mri_guard.readers.manifest import ManifestRow, digest, read_manifest

BY = ("sex", "age", "site")
"""Columns where nobody names any, those of them that the manifest has."""

EVERYONE = "everyone"

INTAKE: dict[str, Literal["rejected", "suspected"]] = {
    "rejection_rate": "rejected",
    "perturbation_false_alarm_rate": "suspected",
}
INTAKE_ALPHA = 0.025
"""Of each of the two, which are a family of their own: 5 % in all."""

DEFINITIONS = {
    "auroc": "AUROC of the group's positives against its negatives",
    "sauroc": "AUROC of the group's positives against everybody's negatives",
    "bpsn_auroc": "AUROC of everybody else's positives against the group's negatives",
    "sensitivity": "share of the group's positives above the threshold; what has no score is not",
    "false_positive_rate": "share of the group's negatives that got a score, above the threshold",
    "calibration_in_the_large": "mean probability less the share that is abnormal",
    "rejection_rate": "share of scans that a check or a reader refused: the model was not asked",
    "perturbation_false_alarm_rate": "share of clean scans that were held as perturbed",
}


def evaluate_fairness(
    manifest: Path,
    splits: Sequence[str],
    kit: Kit,
    *,
    command: str,
    work: Path,
    by: Sequence[str] = (),
    depth: int = 2,
    claim: float = CLAIM,
    attacks: Sequence[Attack] = (),
    of_255: Sequence[float] = (),
    own_thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    console: Console | None = None,
) -> Evidence:
    """Evidence of what the bundle does for each group.

    Args:
        manifest: of scans that nothing was trained or calibrated on.
        splits: to assess.
        kit: from the bundle.
        command: written into the evidence.
        work: folder of what has been computed; an interrupted run goes on from it.
        by: columns to group by; `BY` where none is named.
        depth: columns that may meet in one group, 1 or 2.
        claim: gap that matters, as a share.
        attacks: on every voxel; asked at each budget.
        of_255: budgets, rising, in 255ths of normalised intensity; none: no attack.
        own_thresholds: of scans, by site, in place of the bundle's.
        seed: of attacks, bootstrap and shuffles.
        draws: of the bootstrap.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: no scan in these splits, a column is missing or none is named, an attack that
            is not on every voxel, or the kit's score cannot be attacked.
    """
    rows = [row for row in read_manifest(manifest) if row.split in splits]
    if not rows:
        raise SettingsError(f"no scan in the splits {', '.join(splits)} of the manifest")
    named = tuple(by) or tuple(name for name in BY if name in rows[0].attributes)
    lacking = [name for name in named if name not in rows[0].attributes]
    if lacking or not named:
        raise SettingsError(f"manifest lacks the columns {', '.join(lacking or BY)} to group by")
    wrong = [attack.name for attack in attacks if attack.threat is not Threat.LINF]
    if wrong:
        raise SettingsError(f"{', '.join(wrong)}: not an attack on every voxel")
    columns = _columns(rows, named)
    scans = _assess(
        rows,
        kit,
        work,
        attacks=attacks,
        of_255=of_255,
        own_thresholds=own_thresholds or {},
        seed=seed,
        console=console,
    )
    groups = Groups.of(columns, depth)
    budgets: list[float | None] = [None, *of_255]
    metrics: dict[str, Metric] = {}
    figures: list[dict[str, Any]] = []
    tests: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    hypotheses: list[dict[str, Any]] = []
    counts = patient_counts(len(groups.members[0]), generator(seed, "fairness bootstrap"), draws)
    for about, some, tested in _families(
        scans, groups, counts, budgets=budgets, seed=seed, claim=claim
    ):
        prefix = f"{about['unit'].removesuffix('s')}_"
        ending = "" if about["of_255"] is None else f"_{suffix(about['of_255'])}"
        figures += [about | one.model_dump() for one in some]
        for one in some:
            if one.group == EVERYONE:
                metrics[f"{prefix}{one.figure}{ending}"] = _metric(one, about)
        for test in tested:
            tests.append(about | test.model_dump(exclude={"gaps"}))
            gaps += [
                about | {"rate": test.rate} | one.model_dump() | {"words": one.words}
                for one in test.gaps
            ]
            metrics |= {
                f"{prefix}{name}{ending}": one
                for name, one in _worst(test, len(columns[named[0]])).items()
            }
    every = _columns(rows, tuple(rows[0].attributes))
    for unit in _units(scans):
        whole = cohort(scans, unit)
        for rate in SHARES:
            found = worst_slice(
                every,
                Rate.of_cohort(whole, rate, SHARES[rate]),
                strata_of(whole),
                generator(seed, "fairness, worst", unit, rate),
            )
            if found is not None:
                hypotheses.append({"unit": unit} | found.model_dump())
    return Evidence(
        kind="fairness",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=seed,
        machine=machine(),
        metrics=metrics,
        tables={
            "figures": figures,
            "tests": tests,
            "gaps": gaps,
            "worst_slices": hypotheses,
            "definitions": [{"figure": k, "definition": v} for k, v in DEFINITIONS.items()],
            "patients": [
                {name: values[index] for name, values in columns.items()}
                for index in range(counts.shape[1])
            ],
            "scans": [scan.model_dump(mode="json") for scan in scans],
            "settings": [
                {"depth": depth, "gap": claim, "own_thresholds": dict(own_thresholds or {})}
            ],
        },
    )


def site_thresholds(
    healthy: Mapping[str, Sequence[float]], alpha: float, delta: float
) -> dict[str, float]:
    """The exact threshold of each site with enough healthy scores for one; others have the pooled.

    Args:
        healthy: calibration scores by site.
        alpha: false-positive rate to hold.
        delta: probability of not holding it.
    """
    enough = smallest_count(alpha, delta)
    return {
        site: exact_threshold(scores, alpha, delta)
        for site, scores in healthy.items()
        if len(scores) >= enough
    }


def table(evidence: Evidence) -> Table:
    """Each group's rates and what is to be said of them, for people."""
    printed = Table(
        "counted", "of 255", "group", "figure", "value", "95 % interval", "n", "verdict"
    )
    verdicts = {_place(row, "rate"): row["words"] for row in evidence.tables["gaps"]}
    for row in evidence.tables["figures"]:
        if row["figure"] not in (*SHARES, *INTAKE):
            continue
        printed.add_row(
            row["unit"],
            "–" if row["of_255"] is None else f"{row['of_255']:g}",
            row["group"],
            row["figure"].replace("_", " "),
            f"{row['value']:.3f}",
            f"{row['low']:.3f} to {row['high']:.3f}",
            f"{row['n']} of {row['patients']} patients",
            verdicts.get(_place(row, "figure"), ""),
        )
    worst = [
        f"{row['unit']}{_at(row['of_255'])}, "
        f"{row['rate'].replace('_', ' ')}: worst gap {100 * row['observed']:.0f} points "
        f"({row['worst']}), {100 * row['expected']:.0f} to expect with no disparity, "
        f"p = {row['p_value']:.3f}"
        for row in evidence.tables["tests"]
        if row["observed"] is not None
    ]
    worst += [
        f"worst group of a search, a hypothesis: {row['group']} ({row['unit']}, {row['rate']}), "
        f"{'confirmed' if row['confirmed'] else 'not confirmed'} on patients held back"
        for row in evidence.tables["worst_slices"]
    ]
    printed.title = "Groups of people; intervals and tests over patients"
    printed.caption = "\n".join(worst) or "no group is large enough to be tested"
    return printed


Family = tuple[dict[str, Any], list[Estimate], list[RateGaps]]
"""What was counted, under which budget; every group's figures; the tests of its gaps."""


def _families(
    scans: Sequence[Assessed],
    groups: Groups,
    counts: Counts,
    *,
    budgets: Sequence[float | None],
    seed: int,
    claim: float,
) -> list[Family]:
    """Each with 5 % of false alarms over all its groups and rates."""
    shown = with_everyone(groups)
    found: list[Family] = []
    everybody = np.zeros(counts.shape[1], dtype=np.int64)
    figures: list[Estimate | None] = []
    rates = []
    for name, which in INTAKE.items():
        hits, of = by_patient(scans, which)
        figures += rate_figures(name, hits, of, shown, counts)
        rates.append(Rate(name, hits, of, "high", INTAKE_ALPHA))
    rng = generator(seed, "fairness gaps", "intake")
    about: dict[str, Any] = {"unit": "scans", "of_255": None}
    found.append(
        (
            about,
            [one for one in figures if one is not None],
            rate_gaps(rates, groups, everybody, rng, claim=claim),
        )
    )
    for unit in _units(scans):
        for budget in budgets:
            some = cohort(scans, unit, None if budget is None else f"{budget:g}")
            if not len(some.scores):
                continue
            rates = [Rate.of_cohort(some, name, alpha) for name, alpha in SHARES.items()]
            found.append(
                (
                    {"unit": unit, "of_255": budget},
                    group_figures(some, shown, counts),
                    rate_gaps(
                        [rate for rate in rates if rate.of.any()],
                        groups,
                        strata_of(some),
                        generator(seed, "fairness gaps", unit, repr(budget)),
                        claim=claim,
                    ),
                )
            )
    return found


def with_everyone(groups: Groups) -> Groups:
    """The groups, after one of everybody."""
    everybody = np.ones((1, groups.members.shape[1]), dtype=np.bool_)
    return Groups((EVERYONE, *groups.names), np.concatenate([everybody, groups.members]))


def _units(scans: Sequence[Assessed]) -> list[Unit]:
    """Slices count where the bundle has a threshold for them and somebody knows the truth."""
    known = any(scan.lesion and scan.slice_threshold is not None for scan in scans)
    return [unit for unit in UNITS if unit == "scans" or known]


def _columns(rows: Sequence[ManifestRow], names: Sequence[str]) -> dict[str, list[str]]:
    """Each column in bands, one value for each patient in the order of subjects' names; of a
    patient with several scans the first counts.
    """
    subjects = sorted({row.subject for row in rows})
    first: dict[str, ManifestRow] = {}
    for row in rows:
        first.setdefault(row.subject, row)
    return {
        name: banded(name, [first[one].attributes.get(name) or UNKNOWN for one in subjects])
        for name in names
    }


def _assess(
    rows: Sequence[ManifestRow],
    kit: Kit,
    work: Path,
    *,
    attacks: Sequence[Attack],
    of_255: Sequence[float],
    own_thresholds: Mapping[str, float],
    seed: int,
    console: Console | None,
) -> list[Assessed]:
    subjects = sorted({row.subject for row in rows})
    attacked = bool(attacks and of_255)
    bench = (
        bench_of(kit, (), (), folder=work / "robustness", seed=seed, hidden=None)
        if attacked
        else None
    )
    work.mkdir(parents=True, exist_ok=True)
    scans = []
    for row in track(rows, "screening", console=console, disable=console is None):
        found, moved = _screened(row, kit, work), Pushed()
        if bench is not None and found is not None and found.examination.calibrated is not None:
            moved = pushed(row, kit, work, bench=bench, attacks=attacks, of_255=of_255)
        patient = subjects.index(row.subject)
        scans.append(assessed(row, patient, found, moved, own_thresholds.get(row.site)))
    return scans


def _screened(row: ManifestRow, kit: Kit, work: Path) -> Screened | None:
    """What became of a scan; None where there was nothing to examine."""
    try:
        return screened(row, kit, work)
    except InputError:
        return None


def _metric(one: Estimate, about: Mapping[str, Any]) -> Metric:
    return Metric(
        value=one.value,
        low=one.low,
        high=one.high,
        n=one.n,
        unit=about["unit"],
        definition=f"{DEFINITIONS[one.figure]}; everyone, {one.patients} patients, "
        f"{one.interval}{'' if about['of_255'] is None else ', each attacked in its direction'}",
    )


def _worst(test: RateGaps, patients: int) -> dict[str, Metric]:
    """The largest gap beside the one to expect; nothing where no group could be tested."""
    if test.observed is None or test.expected is None or test.worst is None:
        return {}
    assert test.expected_low is not None  # noqa: S101 - stand or fall together
    assert test.expected_high is not None  # noqa: S101
    said = [one.verdict for one in test.gaps]
    tested = sum(one.p_value is not None for one in test.gaps)
    (own,) = (gap for gap in test.gaps if gap.group == test.worst)
    assert own.low is not None  # noqa: S101 - it was tested
    assert own.high is not None  # noqa: S101
    worst = Metric(
        value=test.observed,
        low=own.low,
        high=own.high,
        n=patients,
        unit="patients",
        definition=f"how much worse off {test.worst} is than everybody else in {test.rate}, the "
        f"largest of {tested} groups tested together, p = {test.p_value:.4f} (max-T permutation "
        f"test at {test.alpha:g}); its interval is the test's limit either way and "
        "takes account of all groups",
    )
    expected = Metric(
        value=test.expected,
        low=test.expected_low,
        high=test.expected_high,
        n=patients,
        unit="patients",
        definition=f"largest gap in {test.rate} to expect with no disparity: mean and 95 % of "
        "shuffles of attributes among patients of the same truth",
    )
    found = Metric(
        value=said.count("gap"),
        low=said.count("gap"),
        high=said.count("gap"),
        n=tested,
        unit="groups",
        definition=f"groups with a gap in {test.rate}",
    )
    return {
        f"worst_gap_{test.rate}": worst,
        f"worst_gap_{test.rate}_expected": expected,
        f"groups_with_gap_{test.rate}": found,
    }


def _at(of_255: float | None) -> str:
    return "" if of_255 is None else f" at {of_255:g}/255"


def _place(row: Mapping[str, Any], figure: str) -> tuple[Any, ...]:
    return row["unit"], row["of_255"], row["group"], row[figure]
