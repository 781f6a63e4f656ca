"""How slices stack up: which come first, which lie twice at one place, which are missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mri_guard.errors import SeriesError
from mri_guard.readers.frames import ORIENTATION_TOLERANCE, Frame

SAME_PLACE_MM = 0.01
SPACING_TOLERANCE = 0.05
"""Slices may lie this fraction of the spacing away from where an even stack puts them."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices in order along their normal.

    Attributes:
        places: for each filled slot, the indices of the frames that lie there, in given order.
        slots: for each place, its slot; slots that no place has are gaps.
        step: from one slot to the next, mm, LPS.
        origin: position of slot 0, mm, LPS.
    """

    places: tuple[tuple[int, ...], ...]
    slots: tuple[int, ...]
    step: tuple[float, float, float]
    origin: tuple[float, float, float]

    @property
    def slot_count(self) -> int:
        """Slices of the even stack, missing ones included."""
        return self.slots[-1] + 1

    @property
    def gaps(self) -> int:
        """Missing slices."""
        return self.slot_count - len(self.slots)

    @property
    def duplicates(self) -> int:
        """Frames that lie where another one does."""
        return sum(len(place) - 1 for place in self.places)


def stack(frames: Sequence[Frame]) -> Stack:
    """The stack that the frames make up, whatever order they come in.

    Raises:
        SeriesError: `orientation-mixed`, `too-few-slices`, `uneven-spacing`, `slices-sheared`,
            `slices-missing` (more than there are).
    """
    first = frames[0]
    if not all(frame.same_plane(first) for frame in frames):
        raise SeriesError("orientation-mixed", "slices differ in orientation or pixel spacing")
    positions = np.array([frame.position for frame in frames], dtype=np.float64)
    along = positions @ first.normal
    order = np.argsort(along, kind="stable")
    breaks = np.flatnonzero(np.diff(along[order]) > SAME_PLACE_MM) + 1
    places = tuple(tuple(int(i) for i in place) for place in np.split(order, breaks))
    if len(places) < 2:
        raise SeriesError("too-few-slices", "slices at 1 place; at least 2 wanted")
    where = positions[[place[0] for place in places]]
    slots = _slots(along[[place[0] for place in places]])
    step = (where[-1] - where[0]) / slots[-1]
    off = np.abs(where - (where[0] + np.array(slots)[:, None] * step)).max()
    length = float(np.linalg.norm(step))
    if off > SPACING_TOLERANCE * length:
        raise SeriesError("uneven-spacing", f"a slice lies {off:.3f} mm off an even stack")
    if np.linalg.norm(np.cross(step / length, first.normal)) > 10 * ORIENTATION_TOLERANCE:
        raise SeriesError("slices-sheared", "slices are not stacked along their normal")
    return Stack(places, slots, _triple(step), _triple(where[0]))


def require_one_volume(stacked: Stack, frames: Sequence[Frame]) -> None:
    """Nothing, when frames that lie at one place may be copies of one another.

    Raises:
        SeriesError: `several-volumes`: they are time points, echoes or b-values.
    """
    shared = [place for place in stacked.places if len(place) > 1]
    if any(len({frames[index].volume for index in place}) > 1 for place in shared):
        most = max(len(place) for place in shared)
        raise SeriesError("several-volumes", f"{most} images at one place; one volume wanted")


def _slots(along: NDArray[np.float64]) -> tuple[int, ...]:
    steps = np.diff(along)
    usual = float(np.median(steps[steps < 1.5 * steps.min()]))  # those without a gap
    ratio = steps / usual
    whole = np.rint(ratio).astype(np.int64)
    if whole.min() < 1 or np.abs(ratio - whole).max() > SPACING_TOLERANCE * max(1, whole.max()):
        raise SeriesError(
            "uneven-spacing",
            f"slices lie {steps.min():.3f} to {steps.max():.3f} mm apart; even spacing wanted",
        )
    if whole.sum() >= 2 * len(along):
        raise SeriesError(
            "slices-missing", f"{whole.sum() + 1 - len(along)} of {whole.sum() + 1} slices missing"
        )
    return (0, *(int(slot) for slot in np.cumsum(whole)))


def _triple(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
