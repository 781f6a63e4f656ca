"""Before and after: what a new training, a defence or other thresholds did for each group."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import (
    SIGNED,
    Drawn,
    Evidence,
    Metric,
    bootstrapped,
    code_version,
    machine,
)
from mri_guard.evaluation.fairness.assessed import UNITS, Assessed, Unit, cohort
from mri_guard.evaluation.fairness.command import DEFINITIONS, EVERYONE, with_everyone
from mri_guard.fairness import Groups
from mri_guard.fairness.figures import RANKINGS, RATES, rankings, shares
from mri_guard.metrics.bootstrap import DRAWS, patient_counts
from mri_guard.metrics.by_patient import Counts, Values

HIGHER_IS_WORSE = ("false_positive_rate",)
BESIDE = "beside_everyone"


def compare_fairness(
    old: Evidence, new: Evidence, *, command: str, seed: int = 0, draws: int = DRAWS
) -> Evidence:
    """Evidence of the change in each figure of each group, and of the change beside everyone's:
    a group that a defence protects less has a negative one there.

    Where both have assessed the same scans each resample takes the same patients in both;
    otherwise the two are taken to be independent, and the table says so.

    Args:
        old: of kind `fairness`.
        new: the same, grouped by the same columns.
        command: written into the evidence.
        seed: of the bootstrap.
        draws: of the bootstrap.

    Raises:
        SettingsError: evidence of another kind, or grouped by other columns.
    """
    for one in (old, new):
        if one.kind != "fairness":
            raise SettingsError(f"evidence of kind {one.kind}; wanted fairness")
    if _people(old).keys() != _people(new).keys() or _depth(old) != _depth(new):
        raise SettingsError("the two are grouped by different columns")
    before, after = ([Assessed.model_validate(s) for s in e.tables["scans"]] for e in (old, new))
    paired = _same(old, new, before, after)
    first = patient_counts(len(old.tables["patients"]), generator(seed, "fairness, old"), draws)
    second = first
    if not paired:
        size = len(new.tables["patients"])
        second = patient_counts(size, generator(seed, "fairness, new"), draws)
    budgets = [None, *dict.fromkeys(b for scan in before for b in scan.attacked)]
    budgets = [b for b in budgets if b is None or any(b in scan.attacked for scan in after)]
    how = "the same patients in both" if paired else "two independent samples"
    rows: list[dict[str, Any]] = []
    metrics: dict[str, Metric] = {}
    for unit in UNITS:
        for budget in budgets:
            for row, metric in _changes(
                (before, after), (_groups(old), _groups(new)), (first, second), unit, budget
            ):
                rows.append({"unit": unit, "budget": budget, "paired": paired} | row)
                if row["group"] == EVERYONE:
                    ending = "" if budget is None else f"_{budget.replace('.', '_')}_255"
                    metrics[f"{unit.removesuffix('s')}_{row['figure']}_change{ending}"] = (
                        metric.model_copy(update={"definition": f"{metric.definition}; {how}"})
                    )
    return Evidence(
        kind="fairness-comparison",
        command=command,
        bundle_digest=new.bundle_digest,
        manifest_digest=new.manifest_digest,
        code_version=code_version(),
        seed=seed,
        machine=machine(),
        metrics=metrics,
        tables={
            "changes": rows,
            "compared": [
                {"bundle_digest": one.bundle_digest, "command": one.command} for one in (old, new)
            ],
        },
    )


def comparison_table(evidence: Evidence) -> Table:
    """The change in each group's rates, for people."""
    printed = Table(
        "counted", "of 255", "group", "figure", "old", "new", "change", "beside everyone"
    )
    printed.title = "New less old; 95 % intervals over patients"
    for row in evidence.tables["changes"]:
        if row["figure"] in RATES:
            printed.add_row(
                row["unit"],
                row["budget"] or "–",
                row["group"],
                row["figure"].replace("_", " "),
                f"{row['old']:.3f}",
                f"{row['new']:.3f}",
                f"{row['change']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] {row['said']}",
                "–"
                if row[BESIDE] is None
                else f"{row[BESIDE]:+.3f} [{row[BESIDE + '_low']:+.3f}, "
                f"{row[BESIDE + '_high']:+.3f}]",
            )
    worse = sorted({r["group"] for r in evidence.tables["changes"] if r["said"] == "worse"})
    printed.caption = f"worse beyond the interval: {', '.join(worse) or 'none'}; intervals are of "
    printed.caption += "each figure alone, one in twenty misses by chance"
    return printed


def _changes(
    scans: tuple[Sequence[Assessed], Sequence[Assessed]],
    groups: tuple[Groups, Groups],
    counts: tuple[Counts, Counts],
    unit: Unit,
    budget: str | None,
) -> list[tuple[dict[str, Any], Metric]]:
    """A row and its figure for each group that both have."""
    both = [
        _figures(some, own, drawn, unit, budget)
        for some, own, drawn in zip(scans, groups, counts, strict=True)
    ]
    shared = [name for name in groups[0].names if name in groups[1].names]
    found = []
    for figure in (*RANKINGS, *RATES):
        change = {name: both[1][figure, name] - both[0][figure, name] for name in shared}
        for name in shared:
            old, new = (float(one[figure, name][0]) for one in both)
            patients = int(min(one.members[one.names.index(name)].sum() for one in groups))
            definition = f"new less old: {DEFINITIONS[figure]}"
            metric = _change(change[name], patients, definition)
            if metric is None:
                continue
            row: dict[str, Any] = {
                "group": name,
                "figure": figure,
                "old": old,
                "new": new,
                "change": metric.value,
                "low": metric.low,
                "high": metric.high,
                "n": patients,
                "said": _said(figure, metric),
            }
            apart = change[name] - change[EVERYONE]
            beside = _change(apart, patients, "")
            row |= {
                BESIDE: None if beside is None else beside.value,
                f"{BESIDE}_low": None if beside is None else beside.low,
                f"{BESIDE}_high": None if beside is None else beside.high,
            }
            found.append((row, metric))
    return found


def _change(values: Values, patients: int, definition: str) -> Metric | None:
    """Of values on the sample and then on each resample, which hang on all the patients."""
    every = np.full(patients, np.nan)
    found = Drawn(float(values[0]), every, values[1:])
    return bootstrapped(found, patients, "patients", definition, within=SIGNED)


def _figures(
    scans: Sequence[Assessed], groups: Groups, counts: Counts, unit: Unit, budget: str | None
) -> dict[tuple[str, str], Values]:
    """Each figure of each group on the sample and then on each resample, (1 + draws,)."""
    own = cohort(scans, unit, budget)
    all_ = np.concatenate([np.ones((1, counts.shape[1]), dtype=np.int64), counts])
    values = dict(zip(RANKINGS, rankings(own, groups, all_), strict=True))
    for name in RATES:
        of = own.counted(name)
        hits = own.by_patient(of & own.above)
        values[name] = shares(hits, own.by_patient(of), groups, all_)
    return {
        (figure, name): value[:, index]
        for figure, value in values.items()
        for index, name in enumerate(groups.names)
    }


def _said(figure: str, change: Metric) -> str:
    if change.low <= 0 <= change.high:
        return "no change seen"
    return "worse" if (change.value > 0) == (figure in HIGHER_IS_WORSE) else "better"


def _people(evidence: Evidence) -> dict[str, list[str]]:
    rows = evidence.tables["patients"]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _depth(evidence: Evidence) -> int:
    return int(evidence.tables["settings"][0]["depth"])


def _groups(evidence: Evidence) -> Groups:
    return with_everyone(Groups.of(_people(evidence), _depth(evidence)))


def _same(
    old: Evidence, new: Evidence, before: Sequence[Assessed], after: Sequence[Assessed]
) -> bool:
    """Whether both have looked at the same scans of the same patients, as far as can be told."""
    return (
        old.manifest_digest == new.manifest_digest
        and old.tables["patients"] == new.tables["patients"]
        and [(s.patient, s.abnormal) for s in before] == [(s.patient, s.abnormal) for s in after]
    )
