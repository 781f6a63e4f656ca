import numpy as np
import pytest

from mri_guard.artifacts import BiasField
from mri_guard.artifacts.bias_field import TERMS
from mri_guard.determinism import generator

FLAT = np.ones((30, 26, 4), dtype=np.float32)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 4.0])
def test_is_as_uneven_as_it_says_and_keeps_the_geometric_mean(ratio: float) -> None:
    field = BiasField(tuple(generator(0, "bias").normal(size=len(TERMS))), ratio)(FLAT)
    assert field.max() / field.min() == pytest.approx(ratio, rel=1e-4)
    assert np.log(field).mean() == pytest.approx(0, abs=1e-5)


def test_multiplies_so_that_twice_the_signal_is_twice_as_bright() -> None:
    drawn = BiasField.draw(generator(1, "bias"), 1.0)
    image = generator(1, "image").uniform(0, 1, FLAT.shape).astype(np.float32)
    assert np.allclose(drawn(2 * image), 2 * drawn(image))
    assert np.allclose(drawn(image), drawn(FLAT) * image, rtol=1e-5)


def test_rises_along_x_alone_where_only_that_term_is_set() -> None:
    slope = tuple(float(term == (1, 0, 0)) for term in TERMS)
    logarithm = np.log(BiasField(slope, np.e)(FLAT))
    assert np.allclose(logarithm, np.linspace(-0.5, 0.5, 30)[:, None, None], atol=1e-5)


def test_leaves_an_image_alone_that_no_term_says_anything_about() -> None:
    only_across = tuple(float(term == (0, 0, 1)) for term in TERMS)
    assert np.array_equal(BiasField(only_across, 3.0)(FLAT[..., 0]), FLAT[..., 0])
