"""Is a planted gap found, and is none found where there is none? Simulated scores, n a group.

    python benchmarks/planted_disparity.py --models 2000

Every group has so many abnormal and so many healthy people with normal scores, the healthy flagged
in 5 %. In a fair model all groups have the same sensitivity; in an unfair one the lesions of one
group, drawn by chance, lie so much lower that its sensitivity is 10 points less. Found: the verdict
on that group is "gap". False alarm: any verdict on any rate of any group of a fair model is "gap".
Intervals are Clopper-Pearson over models.
"""

import argparse

import numpy as np
from scipy.special import ndtri

from mri_guard.determinism import generator
from mri_guard.fairness import SHARES, Cohort, Groups, Rate, rate_gaps, strata_of
from mri_guard.fairness.gaps import PERMUTATIONS
from mri_guard.metrics.proportion import clopper_pearson

POINTS, FALSE_POSITIVES = 0.10, 0.05
SETTINGS = [(0.9, 2), (0.9, 4), (0.9, 12), (0.8, 12)]
"""Sensitivity of the fair model, and groups."""


def model(
    sensitivity: float, groups: int, n: int, worse: int | None, rng: np.random.Generator
) -> tuple[Cohort, Groups]:
    """One model's scores, and who belongs where."""
    group = np.tile(np.repeat(np.arange(groups), n), 2)
    truth = np.repeat([True, False], groups * n)
    threshold = float(-ndtri(FALSE_POSITIVES))
    found = np.where(group == worse, sensitivity - POINTS, sensitivity)
    scores = rng.standard_normal(len(group)) + truth * (threshold + ndtri(found))
    people = np.arange(len(group))
    names = tuple(f"group={one}" for one in range(groups))
    return (
        Cohort(scores, truth, scores > threshold, people, len(people)),
        Groups(names, group == np.arange(groups)[:, None]),
    )


def main() -> None:
    """Prints a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--n", type=int, default=350)
    parser.add_argument("--permutations", type=int, default=PERMUTATIONS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{options.models} models a cell, n = {options.n} abnormal and as many healthy a group")
    print("| sensitivity | groups | gap of 10 points found | false alarms of fair models |")
    print("|---|---|---|---|")
    for sensitivity, groups in SETTINGS:
        cells = []
        for unfair in (True, False):
            hits = 0
            for number in range(options.models):
                rng = generator(
                    options.seed, "planted", repr(sensitivity), groups, str(unfair), number
                )
                worse = int(rng.integers(groups)) if unfair else None
                cohort, people = model(sensitivity, groups, options.n, worse, rng)
                found = rate_gaps(
                    [Rate.of_cohort(cohort, name, alpha) for name, alpha in SHARES.items()],
                    people,
                    strata_of(cohort),
                    rng,
                    permutations=options.permutations,
                )
                if worse is not None:
                    hits += found[0].gaps[worse].verdict == "gap"
                else:
                    hits += any(one.verdict == "gap" for each in found for one in each.gaps)
            low, high = clopper_pearson(hits, options.models)
            cells.append(f"{hits / options.models:.3f} ({low:.3f} to {high:.3f})")
        print(f"| {sensitivity} | {groups} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
