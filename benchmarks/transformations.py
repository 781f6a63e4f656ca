"""What an input transformation before the score is worth against who knows it.

The bundle's scorer behind each transformation of `mri_guard.defences`, and behind none. All slices
with lesion of a scan are pushed down together, all lesion-free ones not next to one up together, by
PGD on the defended score, each of three ways: through the transformation, past it (BPDA), and as if
there were none. The strongest of the three counts for each slice. Columns as in `score_designs`;
the split is never a test split.

    OMP_NUM_THREADS=1 python -m benchmarks.transformations [--patients 4] [--steps 10]
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.score_designs import Look, Push, Rows, asked, cases_of, line, pushed
from mri_guard import bundle
from mri_guard.anomaly import VaeScorer
from mri_guard.attacks import Found, Pgd, Victim
from mri_guard.attacks.engine import attack_defended, on_stack, strongest
from mri_guard.defences import TRANSFORMATIONS, Transformed
from mri_guard.determinism import generator
from mri_guard.evaluation.detection import Case
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.records import Anomaly

Transform = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def main() -> None:
    """A line for each transformation as it ends."""
    named = {type(one).__name__: one for one in TRANSFORMATIONS}
    parser = asked(__doc__, tuple(named))
    parser.add_argument("--patients", type=int, default=4, help="so many, as they stand")
    options = parser.parse_args()
    cases = [
        case
        for case in cases_of(options.manifest, options.split, options.bundle, options.work)
        if case.subject < options.patients
    ]
    people = {case.subject for case in cases}
    counts = patient_counts(len(people), generator(options.seed, "transformations"))
    config, weights, _, _ = bundle.contents(options.bundle)
    parts = bundle.split(weights, *bundle.PARTS)
    scorer = VaeScorer.from_tensors(config.vae, parts["vae"], parts["healthy"])
    print(f"{len(cases)} scans, {len(people)} patients, {options.epsilon:g}/255")
    print(
        "| before the score | pixel AP | clean | attacked | left | sensitivity | false positives |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in ("nothing", *(options.only or named)):
        looked = behind(scorer, named.get(name, np.asarray), options)
        print(f"| {name} | {line(*looked, cases, counts)} |", flush=True)


def behind(
    scorer: VaeScorer, transform: Transform, options: argparse.Namespace
) -> tuple[Look, Push]:
    """How the scorer looks through a transformation, and how it is attacked through it."""

    def look(case: Case) -> tuple[Anomaly, Rows]:
        anomaly = Transformed(scorer, transform)(case.preprocessed)
        return anomaly, anomaly.slice_scores

    def climb(
        victim: Victim, _numbers: NDArray[np.int64], _case: Case, rng: np.random.Generator
    ) -> Found:
        attack, on = Pgd(steps=options.steps), on_stack(transform)
        ways = attack_defended(attack, victim, on, options.epsilon / 255, rng)
        return strongest(list(ways.values()))

    return look, pushed(scorer, climb, options.seed, "transformations")


if __name__ == "__main__":
    main()
