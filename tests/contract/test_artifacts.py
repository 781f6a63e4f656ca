"""What every artifact owes: nothing at strength 0, the same again from its fields, and bounds."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mri_guard.artifacts import ARTIFACTS
from mri_guard.determinism import generator
from mri_guard.ports import Artifact

STRENGTHS = (0.25, 0.5, 1.0)


@pytest.fixture(params=ARTIFACTS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Artifact]:
    listed: type[Artifact] = request.param
    return listed


def head(shape: tuple[int, ...] = (40, 36, 3)) -> NDArray[np.float32]:
    """An ellipse with folds, brighter than 0 inside, nothing around it."""
    x, y, *z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = (x / 0.7) ** 2 + (y / 0.8) ** 2 < 1
    folds = 0.6 + 0.2 * np.sin(9 * x + 4 * y) + (0.1 * z[0] if z else 0)
    return np.where(inside, folds, 0).astype(np.float32)


@pytest.mark.parametrize("shape", [(40, 36), (40, 36, 3), (33, 31, 1)])
def test_changes_nothing_at_strength_zero(kind: type[Artifact], shape: tuple[int, ...]) -> None:
    image = head(shape)
    for seed in range(5):
        still = kind.draw(generator(seed, "artifact"), 0.0)(image)
        assert still.shape == image.shape
        assert still.dtype == np.float32
        assert np.abs(still - image).max() < 1e-5


def test_does_the_same_again_from_its_fields(kind: type[Artifact]) -> None:
    image = head()
    drawn = kind.draw(generator(1, "artifact"), 0.5)
    written: dict[str, object] = asdict(drawn)  # type: ignore[call-overload]  # a dataclass
    assert written["name"] == kind.__module__.rsplit(".", 1)[-1]
    assert np.array_equal(drawn(image), drawn(image))
    assert np.array_equal(kind(**written)(image), drawn(image))


def test_leaves_the_image_it_was_given_alone(kind: type[Artifact]) -> None:
    image = head()
    kind.draw(generator(2, "artifact"), 1.0)(image)
    assert np.array_equal(image, head())


def test_draws_from_the_generator_alone(kind: type[Artifact]) -> None:
    def draw(seed: int) -> Artifact:
        return kind.draw(generator(seed, "artifact"), 0.5)

    assert draw(0) == draw(0)
    assert len({draw(seed) for seed in range(8)}) > 1


def test_does_more_the_stronger_it_is(kind: type[Artifact]) -> None:
    image = head()
    changes = [
        np.mean(
            [
                np.abs(kind.draw(generator(seed, "artifact"), strength)(image) - image).mean()
                for seed in range(6)
            ]
        )
        for strength in STRENGTHS
    ]
    assert 0 < changes[0] < changes[1] < changes[2]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), strength=st.floats(0, 1), gain=st.sampled_from([0.1, 300.0]))
@pytest.mark.parametrize("kind", ARTIFACTS, ids=lambda kind: kind.__name__)
def test_gives_magnitudes_of_bounded_energy(
    kind: type[Artifact], seed: int, strength: float, gain: float
) -> None:
    """Nothing that is drawn can more than treble a signal, in whatever unit it comes."""
    image = head((24, 20, 2)) * np.float32(gain)
    drawn = kind.draw(generator(seed, "artifact"), strength)
    result = drawn(image)
    assert np.isfinite(result).all()
    assert result.min() >= 0
    energy = float(np.square(result, dtype=np.float64).sum())
    noise = 2 * result.size * float(getattr(drawn, "sigma", 0.0)) ** 2
    assert energy <= 9.001 * float(np.square(image, dtype=np.float64).sum()) + 2 * noise
