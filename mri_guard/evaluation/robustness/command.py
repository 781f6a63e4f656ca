"""What somebody who attacks on purpose can make of lesions and of healthy brains, and at what cost.

Each scan is attacked twice for each budget: all its slices with lesion are pushed down together
(`evade`), all its lesion-free slices not next to lesion are pushed up together (`alarm`). A slice
counts with the furthest that it came under any attack of the suite. The same is done to the scan's
own score, down where it is abnormal and up where it is healthy.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mri_guard.attacks import Direction, Threat
from mri_guard.calibration.second_look import SmoothedLook
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.evaluation.evidence import Evidence, Metric, code_version, machine
from mri_guard.evaluation.robustness.aftermath import Aftermath, as_tensor, through_scanner
from mri_guard.evaluation.robustness.attacked import (
    CODE,
    HERE,
    Answer,
    Bench,
    Detectors,
    Level,
    Target,
    strongest,
    unchanged,
)
from mri_guard.evaluation.robustness.pictures import Picture, picks, write_pictures
from mri_guard.evaluation.robustness.plan import (
    DIRECTIONS,
    PICTURED_OF_255,
    SCANNER_OF_255,
    WORST,
    Plan,
    Result,
)
from mri_guard.evaluation.robustness.sanity import MEANING, SUSPECTED, Check, suspected
from mri_guard.evaluation.robustness.scene import Scene
from mri_guard.evaluation.robustness.targets import bench_of, read_scan, targets_of
from mri_guard.journey import Kit
from mri_guard.kept import code_digest, digest_of, once
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.readers.manifest import ManifestRow, digest, read_manifest
from mri_guard.records import Preprocessed, Scan

MASKED = "checks for masked gradients that failed; if any did, the other figures tell nothing yet"
NOT_EXAMINED = "scans that reading or preprocessing refused; in no other figure"
UNSUSPECTED = "no sign of masked gradients"
UNASKED = "not looked for"

AFTERMATH, CHECKS = TypeAdapter(Aftermath), TypeAdapter(list[Check])
"""How they are kept."""

Hidden = Callable[[Kit, Scan, Preprocessed], Detectors]
"""From a clean scan to what an attacker who knows the kit's detectors is held by."""


def evaluate_robustness(
    manifest: Path,
    splits: Sequence[str],
    kit: Kit,
    plan: Plan,
    *,
    command: str,
    work: Path,
    gallery: Path | None = None,
    hidden: Hidden | None = None,
    console: Console | None = None,
) -> Evidence:
    """Evidence of what attacks do to the bundle's scores.

    Intervals are 95 % percentile bootstrap over patients.

    Args:
        manifest: with lesion masks, healthy scans, or both.
        splits: to assess.
        kit: from the bundle.
        plan: what is to be done.
        command: written into the evidence.
        work: folder of what has been computed; an interrupted run goes on from it.
        gallery: folder for pictures; None draws none.
        hidden: for an attacker who knows the detectors, see `Hidden`.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: no scan of these splits could be examined, a column to slice by is missing,
            or the kit's score has no gradient or no threshold.
    """
    rows = [row for row in read_manifest(manifest) if row.split in splits]
    lacking = sorted({name for name in plan.by if not all(name in r.attributes for r in rows)})
    if lacking:
        raise SettingsError(f"manifest lacks the columns {', '.join(lacking)} to slice by")
    work.mkdir(parents=True, exist_ok=True)
    targets, refused = targets_of(_drawn(rows, plan), kit, work, console)
    if not targets:
        raise SettingsError(f"{len(rows)} scans of these splits, none examined; wanted one")
    clean = [kit.scorer(target.preprocessed) for target in targets]
    held_by = None if hidden is None else partial(_held_by, hidden, kit, work)
    bench = bench_of(
        kit, targets, clean, folder=work / "robustness", seed=plan.seed, hidden=held_by
    )

    results: list[Result] = []
    judged: _Judged | None = None
    jobs = [
        (number, level, direction)
        for number in range(len(targets))
        for level in plan.levels
        for direction in DIRECTIONS
    ]
    for number, level, direction in track(
        jobs, "attacks", console=console, disable=console is None
    ):
        target = targets[number]
        if judged is None or judged.target is not target:
            judged = _Judged(target, kit, bench.folder, work, plan.seed)
        results += _attack(number, target, level, direction, bench=bench, judged=judged, plan=plan)
    checks = list(_sanity(targets, bench, plan, console))

    subjects = sorted({target.row.subject for target in targets})
    patients = [subjects.index(target.row.subject) for target in targets]
    counts = patient_counts(len(subjects), generator(plan.seed, "robustness bootstrap"), plan.draws)
    metrics: dict[str, Metric] = {}
    by_attack: list[dict[str, Any]] = []
    slices: list[dict[str, Any]] = []
    for level in plan.levels:
        scene = Scene(level, targets, clean, patients, len(subjects), results, bench, counts)
        if not scene.rows(WORST, 0.0).truth.size:
            continue
        metrics |= scene.metrics(plan)
        by_attack += scene.by_attack(plan)
        slices += scene.by_attribute(plan)
    found = [check for _, _, check in checks]
    verdict = SUSPECTED if suspected(found) else UNSUSPECTED if found else UNASKED
    metrics["sanity_checks_failed"] = _count(
        sum(not check.passed for _, _, check in checks), len(checks), "checks", MASKED
    )
    metrics["scans_not_examined"] = _count(
        len(refused), len(refused) + len(targets), "scans", NOT_EXAMINED
    )
    if gallery is not None:
        chosen = _pictures(results, patients, targets, bench, plan)
        write_pictures(gallery, chosen, metrics, [0.0, *plan.of_255])
    return Evidence(
        kind="robustness",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=plan.seed,
        machine=machine(),
        metrics=metrics,
        tables={
            "attacks": by_attack,
            "suite": _suite_rows(plan, hidden is not None),
            "by_attribute": slices,
            "outcomes": _outcomes(results),
            "sanity": [
                {
                    "scan": number,
                    "direction": direction,
                    "check": check.name,
                    "passed": check.passed,
                    "seen": check.seen,
                    "wanted": check.wanted,
                    "meaning": MEANING[check.name],
                }
                for number, direction, check in checks
            ],
            "verdict": [{"masked_gradients": verdict}],
            "refused": refused,
        },
    )


def table(evidence: Evidence) -> Table:
    """The figures of each budget side by side, for people."""
    shown = evidence.metrics
    named = (re.search(r"_((\d+)(?:_(\d+))?_255)", name) for name in shown)
    numbers = {found[1]: float(f"{found[2]}.{found[3] or 0}") for found in named if found}
    budgets = sorted(numbers, key=lambda budget: numbers[budget])
    columns = {
        "AUROC both": "robust_auroc_both_{}",
        "AUROC evade": "robust_auroc_evade_{}",
        "AUROC alarm": "robust_auroc_alarm_{}",
        "sensitivity, evade": "sensitivity_evade_{}_at_slice_threshold",
        "false positives, alarm": "false_positive_rate_alarm_{}_at_slice_threshold",
        "noticed, evade": "detector_catch_rate_evade_{}",
        "noticed, alarm": "detector_catch_rate_alarm_{}",
        "scans found, evade": "scan_sensitivity_evade_{}_at_scan_threshold",
        "healthy scans flagged, alarm": "scan_false_positive_rate_alarm_{}_at_scan_threshold",
    }
    columns = {
        title: name
        for title, name in columns.items()
        if any(name.format(b) in shown for b in budgets)
    }
    printed = Table("largest change", *columns, title="Under attack; 95 % intervals over patients")
    for budget in budgets:
        cells = [shown.get(name.format(budget)) for name in columns.values()]
        printed.add_row(
            f"{numbers[budget]:g}/255",
            *(
                f"{cell.value:.3f} [{cell.low:.3f}, {cell.high:.3f}]" if cell else "–"
                for cell in cells
            ),
        )
    verdict = evidence.tables["verdict"][0]["masked_gradients"]
    failed = sorted({row["check"] for row in evidence.tables["sanity"] if not row["passed"]})
    printed.caption = verdict + (f": {', '.join(failed)} failed" if failed else "")
    return printed


def _drawn(rows: Sequence[ManifestRow], plan: Plan) -> list[ManifestRow]:
    """The rows to assess, in the manifest's order."""
    if plan.limit is None or plan.limit >= len(rows):
        return list(rows)
    drawn = generator(plan.seed, "robustness scans").permutation(len(rows))[: plan.limit]
    return [rows[index] for index in sorted(drawn)]


def _held_by(hidden: Hidden, kit: Kit, work: Path, target: Target) -> Detectors:
    return hidden(kit, read_scan(target.row, kit, work), target.preprocessed)


def _attack(
    number: int,
    target: Target,
    level: Level,
    direction: Direction,
    *,
    bench: Bench,
    judged: "_Judged",
    plan: Plan,
) -> list[Result]:
    """One scan without an attack, under each, and under the strongest of those on every voxel."""
    made = bench.victim(target, level, direction)
    if made is None:
        return []
    results = []

    def add(attack: str, epsilon: float, answer: Answer, *, carry: bool) -> None:
        tensor = judged(answer, "tensor")
        carried = judged(answer, "scanner") if carry else None
        light = replace(answer, change=np.empty(0, np.float16))
        results.append(Result(number, level, direction, attack, epsilon, light, tensor, carried))

    add(WORST, 0.0, unchanged(*made), carry=True)
    everywhere: dict[float, list[Answer]] = {}
    for attack in plan.attacks:
        epsilons = plan.budgets(attack)
        answers = bench.climb(target, level, direction, attack, epsilons)
        for epsilon, answer in zip(epsilons, answers, strict=True):
            add(attack.name, epsilon, answer, carry=False)
            if attack.threat is Threat.LINF:
                everywhere.setdefault(epsilon, []).append(answer)
    for epsilon, answers in everywhere.items():
        carry = any(np.isclose(epsilon, one / 255) for one in SCANNER_OF_255)
        add(WORST, epsilon, strongest(answers, direction), carry=carry)
    return results


class _Judged:
    """What the kit makes of a scan's changed images, kept beside the answers."""

    def __init__(self, target: Target, kit: Kit, folder: Path, work: Path, seed: int) -> None:
        self.target, self.folder, self.work = target, folder, work
        # A service draws the noise of its second look in secret; evidence has to be made again.
        drawn = int(generator(seed, "second look", target.digest()).integers(2**63))
        look = kit.second_look
        seeded = replace(look, seed=lambda: drawn) if isinstance(look, SmoothedLook) else look
        self.kit = replace(kit, second_look=seeded)
        self.scan: Scan | None = None
        self.key = (kit.bundle_digest, target.digest(), code_version(), drawn)

    def __call__(self, answer: Answer, way: str) -> Aftermath:
        """What becomes of the image, as it is (`tensor`) or through DICOM (`scanner`)."""
        key = digest_of(
            "aftermath",
            way,
            *self.key,
            hashlib.sha256(answer.change.tobytes()).hexdigest(),
        )
        make = partial(self._made, answer, way)
        return once(self.folder / f"{key}.json", AFTERMATH, make)

    def _made(self, answer: Answer, way: str) -> Aftermath:
        image = answer.image(self.target.preprocessed)
        if self.scan is None:
            self.scan = read_scan(self.target.row, self.kit, self.work)
        if way == "tensor":
            return as_tensor(self.scan, image, self.kit)
        return through_scanner(self.scan, self.target.preprocessed, image, self.kit)


def _sanity(
    targets: Sequence[Target], bench: Bench, plan: Plan, console: Console | None
) -> Iterator[tuple[int, Direction, Check]]:
    """Every check on the slices of some scans, drawn by the seed."""
    order = generator(plan.seed, "robustness sanity").permutation(len(targets)).tolist()
    jobs = [(number, direction) for number in order for direction in DIRECTIONS]
    left = dict.fromkeys(DIRECTIONS, plan.sanity_scans)
    for number, direction in track(
        jobs, "sanity", console=console, disable=console is None or not plan.sanity_scans
    ):
        made = bench.victim(targets[number], "slices", direction) if left[direction] else None
        if made is None:
            continue
        left[direction] -= 1
        key = digest_of(
            "sanity",
            bench.scorer.digest(),
            targets[number].digest(),
            code_digest(*CODE, f"{HERE}/sanity.py"),
            repr(plan.sanity),
            direction,
            bench.thresholds["slices"],
            bench.scale,
            bench.seed,
        )
        make = partial(plan.sanity, made[0], generator(bench.seed, "robustness", key))
        for check in once(bench.folder / f"{key}.json", CHECKS, make):
            yield number, direction, check


def _pictures(
    results: Sequence[Result],
    patients: Sequence[int],
    targets: Sequence[Target],
    bench: Bench,
    plan: Plan,
) -> dict[str, list[Picture]]:
    """Slices of the pictured budget by fixed rules, their maps computed again."""
    of_255 = PICTURED_OF_255 if PICTURED_OF_255 in plan.of_255 else max(plan.of_255, default=0.0)
    shown = [
        one
        for one in results
        if one.attack == WORST and one.level == "slices" and one.epsilon == of_255 / 255
    ]
    everywhere = [attack for attack in plan.attacks if attack.threat is Threat.LINF]
    until = [one / 255 for one in plan.of_255 if one <= of_255]
    chosen: dict[str, list[Picture]] = {}
    for choice, some in picks([(one.direction, one.target, one.answer) for one in shown]).items():
        for direction, number, z in some:
            target = targets[number]
            answers = [
                bench.climb(target, "slices", direction, attack, until)[-1] for attack in everywhere
            ]
            image = strongest(answers, direction).image(target.preprocessed)
            chosen.setdefault(choice, []).append(
                Picture.of(
                    patients[number],
                    z,
                    of_255,
                    clean=target.preprocessed,
                    attacked=image,
                    scorer=bench.scorer,
                )
            )
    return chosen


def _suite_rows(plan: Plan, adaptive: bool) -> list[dict[str, Any]]:
    return [
        {
            "attack": attack.name,
            "settings": repr(attack),
            "threat": attack.threat,
            "access": attack.access,
            "epsilons": list(plan.budgets(attack)),
            "knows_the_detectors": adaptive,
        }
        for attack in plan.attacks
    ]


def _outcomes(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Where the strongest image of each scan ended, as a float tensor and through DICOM."""
    counts: dict[tuple[str, str, float, str, str], int] = {}
    for one in results:
        for way, after in (("float tensor", one.tensor), ("12-bit DICOM", one.carried)):
            if one.attack == WORST and after is not None:
                key = (one.level, one.direction, one.epsilon, way, after.outcome.value)
                counts[key] = counts.get(key, 0) + 1
    return [
        {
            "goal": level,
            "direction": direction,
            "epsilon": epsilon,
            "way": way,
            "outcome": outcome,
            "scans": count,
        }
        for (level, direction, epsilon, way, outcome), count in sorted(counts.items())
    ]


def _count(count: int, n: int, unit: str, definition: str) -> Metric:
    return Metric(value=count, low=count, high=count, n=n, unit=unit, definition=definition)
