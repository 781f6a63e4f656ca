"""The group that is served worst, of all that up to three columns make: a hypothesis, and its test.

Whoever looks through all groups for the worst finds one, whatever the truth. So half of the
patients are searched (SliceLine: Sagadeeva and Boehm 2021, SIGMOD, doi:10.1145/3448016.3457323, by
the package of that name), and what was found is tested once, on the other half.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sliceline import Slicefinder

from mri_guard.fairness.gaps import SMALLEST, Rate, rate_gaps
from mri_guard.fairness.slices import Groups
from mri_guard.records import Finite, Record

DEPTH = 3
"""Columns that may meet in one group."""
SIZE_MATTERS = 0.95
"""SliceLine's alpha: how much the rate of errors counts beside the size of the group."""
SMALLEST_SHARE = 0.05
"""Of the patients searched that a group must have."""
ALPHA = 0.05
"""Of the one test on patients who were not searched."""


class WorstSlice(Record):
    """The worst group found, and what became of it.

    Attributes:
        rate: whose errors were searched.
        group: found.
        searched: patients of the group among those searched.
        searched_gap: there: how much worse off than the rest, as a share.
        held_back: patients of the group among those held back.
        held_back_gap: there; None where one of the two has nothing to count.
        p_value: there, of one test; None where there were too few.
        confirmed: whether it stood the test.
    """

    rate: str
    group: str
    searched: int
    searched_gap: Finite
    held_back: int
    held_back_gap: Finite | None
    p_value: Finite | None
    confirmed: bool


def worst_slice(
    columns: Mapping[str, Sequence[str]],
    rate: Rate,
    strata: NDArray[np.int64],
    rng: np.random.Generator,
) -> WorstSlice | None:
    """The worst group of one half of the patients, tested on the other; None where none is found.

    Args:
        columns: values of each, one for each patient, in bands.
        rate: whose errors (what harms) are searched.
        strata: int64, (patients,), as `strata_of` gives it; each is halved.
        rng: of the halves and of the test.
    """
    searched = _half(strata, rng)
    looked_at = np.flatnonzero(searched & (rate.of > 0))
    if len(looked_at) < 2 * SMALLEST or not columns:
        return None
    found = _search(columns, rate, looked_at)
    if found is None:
        return None
    name = ", ".join(f"{column}={value}" for column, value in found.items())
    members = np.all(
        [np.array(columns[column]) == value for column, value in found.items()], axis=0
    )
    before = _gap(rate, members & searched, ~members & searched)
    assert before is not None  # noqa: S101 - a group of nobody, or of everybody, is never found
    held = ~searched
    tested = rate_gaps(
        [Rate(rate.name, rate.hits[held], rate.of[held], rate.harm, ALPHA)],
        Groups((name,), members[None, held]),
        strata[held],
        rng,
    )[0].gaps[0]
    return WorstSlice(
        rate=rate.name,
        group=name,
        searched=int((members[looked_at]).sum()),
        searched_gap=before,
        held_back=tested.n,
        held_back_gap=tested.gap,
        p_value=tested.p_value,
        confirmed=tested.verdict == "gap",
    )


def _half(strata: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Half of the patients of each stratum, bool, (patients,)."""
    chosen = np.zeros(len(strata), dtype=np.bool_)
    for stratum in np.unique(strata):
        own = rng.permutation(np.flatnonzero(strata == stratum))
        chosen[own[: len(own) // 2]] = True
    return chosen


def _search(
    columns: Mapping[str, Sequence[str]], rate: Rate, looked_at: NDArray[np.int64]
) -> dict[str, str] | None:
    """Value of each column that makes the worst group of these patients; None where none is worse
    than average.
    """
    values = {name: sorted(set(some)) for name, some in columns.items()}
    codes = np.column_stack(
        [[values[name].index(one) + 1 for one in columns[name]] for name in columns]
    )[looked_at]
    share = rate.hits[looked_at] / rate.of[looked_at]
    errors = share if rate.harm == "high" else 1 - share
    finder = Slicefinder(
        alpha=SIZE_MATTERS,
        k=1,
        max_l=min(DEPTH, len(columns)),
        min_sup=max(SMALLEST, int(SMALLEST_SHARE * len(looked_at))),
        verbose=False,
    ).fit(codes, errors)
    if not len(finder.top_slices_):
        return None
    best = zip(columns, finder.top_slices_[0], strict=True)
    return {name: values[name][int(code) - 1] for name, code in best if code is not None}


def _gap(rate: Rate, ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float | None:
    """How much worse off the first are."""
    of = [rate.of[some].sum() for some in (ours, theirs)]
    if not all(of):
        return None
    hits = [rate.hits[some].sum() for some in (ours, theirs)]
    return float(rate.sign * (hits[0] / of[0] - hits[1] / of[1]))
