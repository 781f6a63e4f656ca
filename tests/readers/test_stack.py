import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.errors import SeriesError
from mri_guard.readers.frames import Frame
from mri_guard.readers.stack import require_one_volume, stack
from tests.dicom_files import OBLIQUE, axes

AXES = axes(OBLIQUE)


def frame(along: float, volume: tuple[object, ...] = (), **changes: tuple[float, ...]) -> Frame:
    """A slice that lies `along` mm along the normal of an oblique stack."""
    row, column, normal = AXES
    place = np.array([10.0, -20.0, 30.0]) + along * normal
    geometry = {
        "position": tuple(place),
        "orientation": (*row, *column),
        "spacing": (1.0, 1.0),
        **changes,
    }
    return Frame(**geometry, slope=1.0, intercept=0.0, volume=volume)


@given(st.integers(2, 30), st.floats(0.3, 12), st.randoms())
def test_sorts_slices_whatever_order_they_come_in(count: int, mm: float, random: object) -> None:
    order = list(range(count))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis draws a random.Random
    made = stack([frame(at * mm) for at in order])
    assert [order[place[0]] for place in made.places] == list(range(count))
    assert np.allclose(made.step, mm * AXES[2], atol=1e-9)
    assert np.allclose(made.origin, (10, -20, 30), atol=1e-9)
    assert made.gaps == made.duplicates == 0


def test_counts_the_slices_that_are_missing() -> None:
    made = stack([frame(at) for at in (0, 2, 4, 10, 12, 16)])
    assert made.slots == (0, 1, 2, 5, 6, 8)
    assert made.slot_count == 9
    assert made.gaps == 3
    assert np.allclose(made.step, 2 * AXES[2])


def test_finds_the_spacing_where_most_slices_are_missing() -> None:
    made = stack([frame(at) for at in (0, 4, 8, 12, 14)])
    assert made.slots == (0, 2, 4, 6, 7)
    assert made.gaps == 3


def test_counts_slices_that_lie_twice_at_one_place() -> None:
    made = stack([frame(at) for at in (4, 0, 2, 4.001, 2)])
    assert made.places == ((1,), (2, 4), (0, 3))
    assert made.duplicates == 2


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([frame(0), frame(2), frame(4.5), frame(6)], "uneven-spacing"),
        ([frame(0), frame(1), frame(1e6)], "slices-missing"),
        ([frame(0), frame(1), frame(2), frame(40), frame(41)], "slices-missing"),
        ([frame(0), frame(0)], "too-few-slices"),
        ([frame(0)], "too-few-slices"),
        ([frame(0), frame(1, spacing=(1.0, 1.1))], "orientation-mixed"),
        ([frame(0), frame(1, orientation=(0.0, 1.0, 0.0, 0.0, 0.0, 1.0))], "orientation-mixed"),
        (
            [frame(at, position=tuple(at * (AXES[2] + 0.3 * AXES[0]))) for at in (0, 1, 2)],
            "slices-sheared",
        ),
    ],
)
def test_refuses_what_is_no_stack(frames: list[Frame], reason: str) -> None:
    with pytest.raises(SeriesError) as caught:
        stack(frames)
    assert caught.value.reason == reason


def test_tells_copies_from_volumes() -> None:
    copies = [frame(at, (80.0,)) for at in (0, 1, 2, 2)]
    require_one_volume(stack(copies), copies)
    echoes = [frame(at, (echo,)) for at in (0, 1, 2) for echo in (20.0, 80.0)]
    with pytest.raises(SeriesError, match="several-volumes: 2 images at one place"):
        require_one_volume(stack(echoes), echoes)
