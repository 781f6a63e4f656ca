"""What the perturbation detectors catch, alone and together, and what they hold wrongly.

Unaware attacks climb the scan's score until the decision changes; the adaptive one climbs score and
detectors together, and what a detector notices counts for nothing. Detectors take no credit against
it: its figure stands beside theirs to show how little they hold.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from mri_guard.anomaly import VaeScorer
from mri_guard.anomaly.scorer import volume
from mri_guard.artifacts import ARTIFACTS
from mri_guard.attacks import Attack, Direction, Pgd, Victim
from mri_guard.determinism import generator
from mri_guard.errors import InputError, SettingsError
from mri_guard.evaluation.evidence import (
    Evidence,
    Metric,
    code_version,
    machine,
    proportion,
    suffix,
)
from mri_guard.evaluation.robustness import hidden
from mri_guard.journey import Kit
from mri_guard.kept import digest_of, digest_of_arrays, once
from mri_guard.perturbation.asked_once import detections
from mri_guard.ports import Artifact
from mri_guard.preprocess.changed import changed_voxels
from mri_guard.readers.manifest import ManifestRow, digest, read_manifest
from mri_guard.readers.sources import open_sources
from mri_guard.records import Preprocessed, Record, Scan
from mri_guard.under_attack import scan_victim

logger = logging.getLogger(__name__)

EPSILONS = (4.0, 8.0)
"""Of 255, normalised intensity."""

STRENGTH = 0.3
"""Of scanner artifacts: realistic ones."""

PENALTY = 1.0
"""Weight of the detectors' spreads against the healthy scores' in the adaptive attack."""

TOGETHER = "together"

UNAWARE = Pgd()


class Asked(Record):
    """One scan that all detectors were asked about.

    Attributes:
        figure: that it counts for.
        definition: of the figure.
        held: who held it, by name.
    """

    figure: str
    definition: str
    held: dict[str, bool]


class Part(Record):
    """What came of one part of what is done with a scan.

    Attributes:
        asked: what counts.
        shown: what is told of it besides.
    """

    asked: tuple[Asked, ...]
    shown: dict[str, bool | float | str] = Field(default_factory=dict)


@dataclass(slots=True)
class _Tally:
    """Who held how many of what, by the name of a figure."""

    definitions: dict[str, str] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    held: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, one: Asked) -> None:
        """Counts one scan."""
        self.definitions[one.figure] = one.definition
        self.asked[one.figure] = self.asked.get(one.figure, 0) + 1
        for name, held in one.held.items():
            self.held[one.figure, name] = self.held.get((one.figure, name), 0) + held

    def metrics(self) -> dict[str, Metric]:
        """Shares with exact intervals; a detector's own stand under its name."""
        return {
            figure if name == TOGETHER else f"{figure}_{name}": proportion(
                count, self.asked[figure], f"{self.definitions[figure]}: {name}"
            )
            for (figure, name), count in self.held.items()
        }


@dataclass(frozen=True, slots=True)
class _Assessor:
    """Asks the detectors about one scan after another."""

    kit: Kit
    alpha: float
    scale: float
    attack: Attack
    seed: int

    def parts(
        self,
        number: int,
        scan: Scan,
        seen: Preprocessed,
        artifacts: Sequence[type[Artifact]],
        epsilons: Sequence[float],
    ) -> Iterator[tuple[str, Callable[[], Part]]]:
        """What is done with a scan, by name: each part draws from a stream of its own."""
        yield "clean", partial(self.clean, scan, seen)
        for kind in artifacts:
            rng = generator(self.seed, "perturbation", "artifact", number, kind.__name__)
            drawn = kind.draw(rng, STRENGTH)
            yield f"artifact {kind.__name__}", partial(self.artifact, drawn, scan, seen)
        for epsilon in epsilons:
            rng = generator(self.seed, "perturbation", "attack", number, f"{epsilon:g}")
            yield f"attack {epsilon!r}", partial(self.attacked, scan, seen, epsilon, rng)

    def verdicts(self, scan: Scan, seen: Preprocessed) -> dict[str, bool]:
        """Who holds the scan: each detector by its own p-value, and all together."""
        kit = self.kit
        results = detections(kit.detectors, scan, seen, kit.scorer(seen), kit.scorer)
        verdicts = {result.name: result.p_value <= self.alpha for result in results}
        return verdicts | {TOGETHER: kit.combine(results).p_value <= self.alpha}

    def clean(self, scan: Scan, seen: Preprocessed) -> Part:
        """False alarms on the scan as it is."""
        definition = f"clean scans held at alpha = {self.alpha:g}"
        return _part(false_alarms=(definition, self.verdicts(scan, seen)))

    def artifact(self, artifact: Artifact, scan: Scan, seen: Preprocessed) -> Part:
        """False alarms on the scan with an artifact in the scanner's own voxels."""
        changed = with_artifact(artifact, scan, seen)
        definition = f"scans held that have an artifact of strength {STRENGTH:g}"
        found = definition, self.verdicts(changed, self.kit.preprocess(changed))
        return _part(artifact_alarms=found, **{f"artifact_alarms_{artifact.name}": found})

    def attacked(
        self, scan: Scan, seen: Preprocessed, epsilon: float, rng: np.random.Generator
    ) -> Part:
        """What comes of attacks on the scan, unaware and adaptive."""
        kit, of = self.kit, suffix(epsilon)
        victim = decided_victim(kit, seen, self.scale)
        found = self.attack(victim, epsilon / 255, rng)
        changed = bool(found.first.all())
        definition = "unaware attacks that change the decision, noticed or not"
        asked = {f"success_{of}": (definition, {TOGETHER: changed})}
        shown: dict[str, bool | float | str] = {
            "epsilon": epsilon,
            "direction": victim.direction,
            "changed": changed,
        }
        if changed:
            perturbed = replace(seen, image=volume(found.image))
            definition = "unaware attacks held, among those that change the decision"
            asked[f"caught_{of}"] = definition, self.verdicts(scan, perturbed)

            written = carried_back(volume(found.image - victim.image), seen, scan)
            again = kit.preprocess(written)
            verdicts = self.verdicts(written, again)
            unusual = kit.calibrate(kit.scorer(again).score).unusual
            still = unusual is (victim.direction == "alarm")
            definition += ", carried back to the scanner's voxels, rounded and preprocessed anew"
            asked[f"written_caught_{of}"] = definition, verdicts
            definition = "attacks carried back that still change the decision, of those that did"
            asked[f"written_success_{of}"] = definition, {TOGETHER: still}
            shown |= {"written_changed": still, "written_held": verdicts[TOGETHER]}
        adaptive = self.attack(aware(victim, kit, scan, seen), epsilon / 255, rng)
        unnoticed = bool(adaptive.first.all())
        definition = "adaptive attacks that change the decision and are not held"
        asked[f"unnoticed_success_{of}"] = definition, {TOGETHER: unnoticed}
        return _part(shown | {"unnoticed": unnoticed}, **asked)


def _part(
    shown: dict[str, bool | float | str] | None = None, /, **asked: tuple[str, dict[str, bool]]
) -> Part:
    """A part of figures, each with its definition and who held the scan."""
    each = (
        Asked(figure=figure, definition=definition, held=held)
        for figure, (definition, held) in asked.items()
    )
    return Part(asked=tuple(each), shown=shown or {})


def evaluate_perturbation(
    manifest: Path,
    splits: Sequence[str],
    kit: Kit,
    *,
    command: str,
    work: Path,
    alpha: float,
    scale: float,
    seed: int,
    epsilons: Sequence[float] = EPSILONS,
    attack: Attack = UNAWARE,
    artifacts: Sequence[type[Artifact]] = ARTIFACTS,
    limit: int | None = None,
    console: Console | None = None,
) -> Evidence:
    """Evidence of false alarms, on clean scans and scanner artifacts apart, and of what is caught.

    Args:
        manifest: clean scans.
        splits: to assess; empty takes all.
        kit: from the bundle; its scorer has a gradient.
        command: written into the evidence.
        work: folder of what has been computed; an interrupted run goes on from it.
        alpha: share of clean scans that may be held.
        scale: standard deviation of healthy scores.
        seed: of attacks and artifacts.
        epsilons: of the attacks, of 255; none attacks nothing.
        attack: unaware as it is, adaptive with the detectors in its victim.
        artifacts: whose false alarms are counted apart.
        limit: scans that are taken, the first ones; None takes all.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: no scan of these splits, or a part of the kit cannot be attacked.
    """
    rows = [row for row in read_manifest(manifest) if not splits or row.split in splits][:limit]
    if not rows:
        raise SettingsError(f"no scan of the splits {', '.join(splits)}")
    assessor = _Assessor(kit, alpha, scale, attack, seed)
    setting = (kit.bundle_digest, code_version(), repr(attack), alpha, scale, seed)
    tally, attacked, kind = _Tally(), list[dict[str, Any]](), TypeAdapter(Part)
    for number, row in enumerate(track(rows, "perturbing", console=console, disable=not console)):
        try:
            scan = _decoded(row, kit)
            seen = kit.preprocess(scan)
        except InputError as error:
            logger.warning("a scan is left out: %s", error)
            continue
        of = digest_of_arrays(scan.voxels, scan.affine, seen.image, seen.brain, seen.head)
        for name, make in assessor.parts(number, scan, seen, artifacts, epsilons):
            key = digest_of("perturbation", name, number, of, *setting)
            part = once(work / f"{key}.json", kind, make)
            for one in part.asked:
                tally.add(one)
            if part.shown:
                attacked.append({"scan": number, "site": row.site, **part.shown})
    return Evidence(
        kind="perturbation",
        command=command,
        bundle_digest=kit.bundle_digest,
        manifest_digest=digest(manifest),
        code_version=code_version(),
        seed=seed,
        machine=machine(),
        metrics=tally.metrics(),
        tables={"attacked": attacked},
    )


def table(evidence: Evidence) -> Table:
    """Every figure with its interval, for people."""
    shown = Table("figure", "share", "95 % interval", "n")
    for name, metric in evidence.metrics.items():
        interval = f"{metric.low:.3f} to {metric.high:.3f}"
        shown.add_row(name, f"{metric.value:.3f}", interval, str(metric.n))
    return shown


def _decoded(row: ManifestRow, kit: Kit) -> Scan:
    with tempfile.TemporaryDirectory(prefix="mri-guard-") as work:
        return kit.decoder(open_sources(row.scan, Path(work), row.contrast)[0])


def with_artifact(artifact: Artifact, scan: Scan, seen: Preprocessed) -> Scan:
    """The scan with an artifact, which works plane by plane and in normalised intensity.

    Args:
        artifact: drawn.
        scan: as decoded.
        seen: the same on the model's grid; tells the unit.
    """
    unit = np.float32(seen.intensity_high - seen.intensity_low)
    slices = int(np.argmax(np.linalg.norm(scan.affine[:3, :3], axis=0)))
    stack = (np.moveaxis(scan.voxels, slices, 2).clip(0) / unit).astype(np.float32)
    voxels = np.ascontiguousarray(np.moveaxis(artifact(stack) * unit, 2, slices))
    return Scan(voxels.astype(np.float32), scan.affine.copy(), scan.header)


def decided_victim(kit: Kit, seen: Preprocessed, scale: float) -> Victim:
    """The scan's score, to be pushed to the other side of its threshold.

    Args:
        kit: whose score is attacked.
        seen: the clean scan.
        scale: standard deviation of healthy scores.

    Raises:
        SettingsError: the score has no gradient.
    """
    if not isinstance(kit.scorer, VaeScorer):
        raise SettingsError("the kit's scorer has no gradient to attack")
    calibrated = kit.calibrate(kit.scorer(seen).score)
    direction: Direction = "evade" if calibrated.unusual else "alarm"
    return scan_victim(
        kit.scorer, seen, direction=direction, threshold=calibrated.threshold, scale=scale
    )


def aware(victim: Victim, kit: Kit, scan: Scan, seen: Preprocessed) -> Victim:
    """The victim of one who knows the detectors: what they notice is bad, and counts for nothing.

    Args:
        victim: of the scan.
        kit: whose detectors are known.
        scan: the clean scan.
        seen: the same on the model's grid.

    Raises:
        SettingsError: a detector that has no statistic in torch.
    """
    margins = hidden(kit, scan, seen)
    sign = -1.0 if victim.direction == "evade" else 1.0

    def scores(image: Tensor) -> Tensor:
        noticed = margins(image).clamp(max=0).sum()
        return victim.scores(image) + sign * victim.scale * PENALTY * noticed

    return replace(victim, scores=scores, hidden=margins)


def carried_back(change: NDArray[np.float32], seen: Preprocessed, scan: Scan) -> Scan:
    """The scan with a change of the model's grid written into its own voxels, whole numbers.

    Args:
        change: float32, (128, 128, z), normalised intensity.
        seen: the scan on the model's grid.
        scan: as decoded.
    """
    voxels = np.rint(changed_voxels(scan, seen, change)).clip(scan.voxels.min(), scan.voxels.max())
    return Scan(voxels.astype(np.float32), scan.affine.copy(), scan.header)
