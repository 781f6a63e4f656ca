"""Groups of people by what a manifest says of them, and by two of its columns at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

AGE_BANDS = (40, 60)
"""Years at which a new band begins."""

UNKNOWN = "not stated"
"""The group of those of whom a column says nothing: whoever is left out here is not looked at."""

NOT_SAID = {"", "?", "-", "n/a", "na", "nan", "none", "not stated", "null", "unknown"}
"""How manifests say nothing, in lower case."""

MOST_VALUES = 6
"""A column of more different numbers than this is cut in thirds."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Groups of patients; one patient is in several.

    Attributes:
        names: `sex=F`, or `sex=F, age=40 to 59` where two columns meet.
        members: bool, (groups, patients).
    """

    names: tuple[str, ...]
    members: NDArray[np.bool_]

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[str]], depth: int = 2) -> "Groups":
        """Every value of every column, then every pair of values that somebody has.

        A pair that holds the same people as one of its values alone is left out.

        Args:
            columns: values of each column, one for each patient, as `banded` gives them.
            depth: columns that may meet in one group, 1 or 2.

        Raises:
            ValueError: another depth, or columns of different lengths.
        """
        if depth not in (1, 2):
            raise ValueError(f"depth {depth}; wanted 1 or 2")
        if len({len(values) for values in columns.values()}) > 1:
            raise ValueError("columns of different lengths")
        single = {
            name: {
                value: np.array([one == value for one in values], dtype=np.bool_)
                for value in sorted(set(values))
            }
            for name, values in columns.items()
        }
        found = {
            f"{name}={value}": members
            for name, values in single.items()
            for value, members in values.items()
        }
        for first, second in combinations(single, depth) if depth == 2 else ():
            for one, its in single[first].items():
                for other, others in single[second].items():
                    both = its & others
                    if 0 < both.sum() < min(its.sum(), others.sum()):
                        found[f"{first}={one}, {second}={other}"] = both
        patients = len(next(iter(columns.values()), ()))
        members = np.array(list(found.values()), dtype=np.bool_).reshape(len(found), patients)
        return cls(tuple(found), members)


def banded(name: str, values: Sequence[str]) -> list[str]:
    """The group that each value of a column belongs to.

    Ages go in bands of years; a column with more than `MOST_VALUES` different numbers and nothing
    else is cut in thirds of those who have one; all else stays as it stands.

    Args:
        name: of the column.
        values: one for each patient.
    """
    stated = [UNKNOWN if v.strip().lower() in NOT_SAID else v.strip() for v in values]
    numbers = [np.nan if v == UNKNOWN else _number(v) for v in stated]
    known = np.array([n for n, v in zip(numbers, stated, strict=True) if v != UNKNOWN])
    if name == "age":
        edges: Sequence[float] = AGE_BANDS
    elif np.isfinite(known).all() and len(set(known)) > MOST_VALUES:
        edges = [float(edge) for edge in np.unique(np.quantile(known, [1 / 3, 2 / 3]))]
    else:
        return stated
    return [
        _band(number, edges, whole=name == "age") if np.isfinite(number) else value
        for number, value in zip(numbers, stated, strict=True)
    ]


def _number(value: str) -> float:
    """NaN where it is none."""
    try:
        return float(value)
    except ValueError:
        return float("nan")


def _band(number: float, edges: Sequence[float], *, whole: bool) -> str:
    """In words; of whole years the last of a band is named, of all else the next one's first."""
    place = int(np.searchsorted(edges, number, "right"))
    if place == 0:
        return f"under {edges[0]:g}"
    if place == len(edges):
        return f"{edges[-1]:g} and older" if whole else f"{edges[-1]:g} and more"
    low, high = edges[place - 1], edges[place]
    return f"{low:g} to {high - 1:g}" if whole else f"{low:g} to under {high:g}"
