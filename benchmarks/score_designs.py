"""What the way from map to score is worth against an attacker: designs side by side.

Each design scores slices from the same model. All slices with lesion of a scan are pushed down
together, all lesion-free ones not next to one up together, by PGD on the design's own score. For
each: pixel average precision of its map; position-matched AUROC of slices, clean and attacked from
both sides, with 95 % bootstrap intervals over patients, and what is left of it; and sensitivity
and false-positive rate at the design's clean 90 % specificity, clean and attacked. Designs are
chosen by it, so that `--split` is never a test split.

    python benchmarks/score_designs.py [--split validation] [--epsilon 4] [--steps 10] [--only NAME]
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import bundles
from mri_guard import bundle
from mri_guard.anomaly import FusionConfig, VaeScorer, slice_gap_mm, tensors
from mri_guard.anomaly.evidence import Evidence
from mri_guard.anomaly.scorer import top_mean
from mri_guard.attacks import Direction, Found, Pgd, Victim
from mri_guard.determinism import generator
from mri_guard.evaluation.detection import Case, slice_rows
from mri_guard.metrics.bootstrap import patient_counts, summary
from mri_guard.metrics.by_patient import Slices
from mri_guard.metrics.ranking import average_precision
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import read_manifest
from mri_guard.records import Anomaly
from mri_guard.training.data import prepared_scan, preprocess_digest
from mri_guard.under_attack import slice_victim, slices_of

DIRECTIONS: tuple[Direction, ...] = ("evade", "alarm")

Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Design:
    """One way from evidence to a slice's score.

    Attributes:
        own_share: see `FusionConfig`.
        rule: from a slice's map values inside the brain to its score, a scalar.
        residual: the restoration's residual as it is stands for the fused map.
    """

    own_share: float
    rule: Callable[[Tensor], Tensor]
    residual: bool = False


def top(share: float) -> Callable[[Tensor], Tensor]:
    """Mean of the highest share."""
    return lambda values: top_mean(values, share)


def median_of_top(values: Tensor) -> Tensor:
    """Median of the highest twentieth."""
    return torch.quantile(values, 0.975)


def mean_square(values: Tensor) -> Tensor:
    """Of all."""
    return values.square().mean()


DESIGNS = {
    "residual alone, mean absolute": Design(1.0, torch.mean, residual=True),
    "residual alone, mean square": Design(1.0, mean_square, residual=True),
    "mean absolute": Design(1.0, torch.mean),
    "mean square": Design(1.0, mean_square),
    "median of the top 5 %": Design(1.0, median_of_top),
    "top 5 %": Design(1.0, top(0.05)),
    "top 5 %, own share 0.5": Design(0.5, top(0.05)),
    "top 5 %, own share 0.2": Design(0.2, top(0.05)),
    "top 5 %, own share 0": Design(0.0, top(0.05)),
    "top 2 %, own share 0.2": Design(0.2, top(0.02)),
    "top 1 %, own share 0.2": Design(0.2, top(0.01)),
}


def main() -> None:
    """A line for each design as it ends."""
    options = asked(__doc__, tuple(DESIGNS)).parse_args()
    cases = cases_of(options.manifest, options.split, options.bundle, options.work)
    people = sorted({case.subject for case in cases})
    counts = patient_counts(len(people), generator(options.seed, "score designs"))
    print(f"{len(cases)} scans, {len(people)} patients, {options.epsilon:g}/255")
    print("| design | pixel AP | clean | attacked | left | sensitivity | false positives |")
    print("|---|---|---|---|---|---|---|")
    for name in options.only or DESIGNS:
        looked = designed(scorer_of(options.bundle, DESIGNS[name]), DESIGNS[name], options)
        print(f"| {name} | {line(*looked, cases, counts)} |", flush=True)


def asked(description: str, names: Sequence[str]) -> argparse.ArgumentParser:
    """What a table of attacked scores can be asked for; never of a test split."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data/lgg/manifest.csv"))
    parser.add_argument("--split", default="validation", choices=("train", "validation"))
    parser.add_argument("--bundle", type=Path, default=bundles.DEFAULT)
    parser.add_argument("--epsilon", type=float, default=4, help="in 255ths")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=names)
    parser.add_argument("--work", type=Path, default=Path("var/score_designs"))
    return parser


def cases_of(manifest: Path, split: str, folder: Path, work: Path) -> list[Case]:
    """Scans of a split as the model takes them."""
    preprocess = Preprocess(bundle.brain_mask(folder))
    maker = preprocess_digest(preprocess)
    rows = [row for row in read_manifest(manifest) if row.split == split]
    people = sorted({row.subject for row in rows})
    cases = []
    with Decoder() as decoder:
        for row in rows:
            made, lesion = prepared_scan(row, preprocess, maker, decoder, work)
            if lesion is None:
                lesion = np.zeros(made.brain.shape, dtype=np.bool_)
            cases.append(Case(people.index(row.subject), row.subject, made, lesion))
    return cases


def scorer_of(folder: Path, design: Design) -> VaeScorer:
    """The bundle's scorer with the design's map."""
    config, weights, _, _ = bundle.contents(folder)
    parts = bundle.split(weights, *bundle.PARTS)
    fusion: FusionConfig = config.vae.fusion.model_copy(update={"own_share": design.own_share})
    vae = config.vae.model_copy(update={"fusion": fusion})
    scorer = VaeScorer.from_tensors(vae, parts["vae"], parts["healthy"])
    return replace(scorer, fusion=residual) if design.residual else scorer


def residual(found: Evidence) -> Tensor:
    """As it is."""
    return found.signed["restoration"]


Look = Callable[[Case], tuple[Anomaly, Rows]]
"""From a scan to what is made of it, and the scores of its slices, (z,); NaN without one."""
Push = Callable[[int, Case, Direction], tuple[Rows, NDArray[np.int64]] | None]
"""From a scan and its number to the furthest scores of the direction's slices, and which these are;
None without any."""


Climb = Callable[[Victim, NDArray[np.int64], Case, np.random.Generator], Found]
"""From the scorer's own victim, the slices that are its goals and their scan to what was found."""


def line(look: Look, push: Push, cases: Sequence[Case], counts: NDArray[np.int64]) -> str:
    """Figures of one design."""
    clean: list[Rows] = []
    attacked: list[Rows] = []
    truths, values = [], []
    for number, case in enumerate(cases):
        anomaly, before = look(case)
        after = before.copy()
        for direction in DIRECTIONS:
            moved = push(number, case, direction)
            if moved is not None:
                after[moved[1]] = moved[0]
        for rows, scores in ((clean, before), (attacked, after)):
            made = slice_rows(replace(anomaly, slice_scores=scores), case)
            rows.append(np.column_stack([made, np.full(len(made), case.subject)]))
        counted = case.preprocessed.brain | case.lesion
        truths.append(case.lesion[counted])
        values.append(np.where(case.preprocessed.brain, anomaly.map, -np.inf)[counted])
    pixel_ap = average_precision(np.concatenate(truths), np.concatenate(values).astype(np.float64))
    one, other = (slices_from(rows, counts.shape[1]) for rows in (clean, attacked))
    everybody = np.ones((1, counts.shape[1]), dtype=np.int64)
    left = other.matched_auroc(counts) / one.matched_auroc(counts)
    whole = float((other.matched_auroc(everybody) / one.matched_auroc(everybody))[0])
    limit = float(np.quantile(one.scores[~one.truth], 0.9, method="higher"))
    above = [
        f"{(some.scores[some.truth == ill] > limit).mean():.3f}"
        for ill in (True, False)
        for some in (one, other)
    ]
    return " | ".join(
        [
            f"{pixel_ap:.3f}",
            *(
                shown(some.matched_auroc(everybody)[0], some.matched_auroc(counts))
                for some in (one, other)
            ),
            shown(whole, left),
            f"{above[0]} to {above[1]}",
            f"{above[2]} to {above[3]}",
        ]
    )


def shown(value: float, drawn: NDArray[np.float64]) -> str:
    """With its interval."""
    found = summary(float(value), drawn)
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def slices_from(rows: list[Rows], patients: int) -> Slices:
    """Of all scans."""
    score, truth, position, patient = np.concatenate(rows).T
    return Slices(score, truth > 0, position, patient.astype(np.int64), patients)


def slice_by_slice(scorer: VaeScorer, design: Design, case: Case) -> Rows:
    """Clean scores, (z,); NaN where there is too little brain."""
    image, brain = tensors(case.preprocessed, "cpu")
    with torch.no_grad():
        found = scorer.map_tensor(image, brain, slice_gap_mm(case.preprocessed))[0].abs()
    enough = brain.flatten(1).sum(1) >= scorer.config.smallest_slice_px
    return np.array(
        [
            float(design.rule(values[inside])) if counts else np.nan
            for values, inside, counts in zip(found, brain, enough, strict=True)
        ]
    )


def designed(scorer: VaeScorer, design: Design, options: argparse.Namespace) -> tuple[Look, Push]:
    """How a design looks, and how it is attacked: by PGD on its own score."""

    def look(case: Case) -> tuple[Anomaly, Rows]:
        return scorer(case.preprocessed), slice_by_slice(scorer, design, case)

    def climb(
        victim: Victim, numbers: NDArray[np.int64], case: Case, rng: np.random.Generator
    ) -> Found:
        brain = tensors(case.preprocessed, "cpu")[1]
        gap_mm = slice_gap_mm(case.preprocessed)

        def scores(image: Tensor) -> Tensor:
            found = scorer.map_tensor(image, brain, gap_mm)[0].abs()
            return torch.stack([design.rule(found[z][brain[z]]) for z in numbers])

        own = replace(victim, scores=scores)
        return Pgd(steps=options.steps)(own, options.epsilon / 255, rng)

    return look, pushed(scorer, climb, options.seed, "score designs")


def pushed(scorer: VaeScorer, climb: Climb, seed: int, stream: str) -> Push:
    """An attack on all of the direction's slices at once, from a stream of random numbers."""

    def push(
        number: int, case: Case, direction: Direction
    ) -> tuple[Rows, NDArray[np.int64]] | None:
        wanted = slices_of(case.lesion, direction)
        made = slice_victim(scorer, case.preprocessed, wanted, direction=direction, threshold=0.0)
        if made is None:
            return None
        victim, numbers = made
        found = climb(victim, numbers, case, generator(seed, stream, direction, number))
        return victim.scores_of(found.margins).double().numpy(), numbers

    return push


if __name__ == "__main__":
    main()
