"""What every input transformation owes: an image like the one it got, little changed, or known."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mri_guard.defences import TRANSFORMATIONS, Transformation, transformations
from mri_guard.determinism import generator
from tests.toys import toy_brain

TOY = toy_brain(generator(0, "transformations"), slices=4).image
LARGEST_CHANGE = 0.1
"""Root mean square, normalised intensity, of a clean image: none takes the anatomy away."""


@pytest.fixture(params=TRANSFORMATIONS, ids=lambda one: one.name)
def transform(request: pytest.FixtureRequest) -> Transformation:
    listed: Transformation = request.param
    return listed


def test_does_not_import_its_siblings(transform: Transformation) -> None:
    source = (Path(transformations.__path__[0]) / f"{transform.name}.py").read_text()
    assert "mri_guard.defences" not in source


@pytest.mark.parametrize("shape", [(48, 48, 4), (31, 20, 1)])
def test_gives_an_image_like_the_one_it_got(
    transform: Transformation, shape: tuple[int, int, int]
) -> None:
    image = generator(1, "shape").uniform(-0.5, 2.0, shape).astype(np.float32)
    kept = image.copy()
    result = transform(image)
    assert result.shape == shape
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert np.array_equal(image, kept)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_keeps_a_constant_image(transform: Transformation, value: float) -> None:
    image = np.full((17, 16, 3), value, dtype=np.float32)
    np.testing.assert_allclose(transform(image), image, atol=1e-6)


def test_changes_a_clean_image_but_not_much(transform: Transformation) -> None:
    change = transform(TOY) - TOY
    assert 0 < np.sqrt((change**2).mean()) < LARGEST_CHANGE


def test_looks_at_no_other_slice(transform: Transformation) -> None:
    def other(stack: NDArray[np.float32]) -> NDArray[np.float32]:
        changed = stack.copy()
        changed[..., 2] = 1 - changed[..., 2]
        return changed

    before, after = transform(TOY), transform(other(TOY))
    assert np.array_equal(np.delete(before, 2, axis=2), np.delete(after, 2, axis=2))
    assert not np.array_equal(before[..., 2], after[..., 2])


def test_stays_within_the_range_of_the_image(transform: Transformation) -> None:
    result, step = transform(TOY), 0.5 / 31  # of the coarsest rounding
    if transform.name != "jpeg":  # whose cosines ring
        assert TOY.min() - step <= result.min() <= result.max() <= TOY.max() + step


def test_gives_the_same_again(transform: Transformation) -> None:
    assert np.array_equal(transform(TOY), transform(TOY))
