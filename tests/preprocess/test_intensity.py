import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.errors import SeriesError
from mri_guard.preprocess.intensity import brain_range, normalise

RAMP = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
EVERYWHERE = np.ones(RAMP.shape, np.bool_)


def test_puts_the_brains_first_percentile_at_zero_and_its_99th_at_one() -> None:
    low, high = brain_range(RAMP, EVERYWHERE)
    assert (low, high) == pytest.approx((9.99, 989.01))
    image = normalise(RAMP, EVERYWHERE, low, high)
    assert np.percentile(image, (1, 99)) == pytest.approx((0, 1), abs=1e-6)
    assert image.max() > 1


def test_looks_at_the_brain_alone_and_clears_what_is_outside_the_head() -> None:
    brain = RAMP < 500
    head = RAMP < 800
    low, high = brain_range(RAMP, brain)
    image = normalise(RAMP, head, low, high)
    assert high == pytest.approx(494.01)
    assert image[(RAMP >= 500) & head].min() > 1
    assert not image[~head].any()


@given(gain=st.floats(0.01, 100), offset=st.floats(-500, 500))
def test_does_not_depend_on_the_scanners_gain_and_offset(gain: float, offset: float) -> None:
    other = (RAMP * gain + offset).astype(np.float32)
    one = normalise(RAMP, EVERYWHERE, *brain_range(RAMP, EVERYWHERE))
    two = normalise(other, EVERYWHERE, *brain_range(other, EVERYWHERE))
    np.testing.assert_allclose(one, two, atol=1e-2)


@pytest.mark.parametrize("value", [3.0, np.nan])
def test_refuses_a_brain_without_contrast(value: float) -> None:
    with pytest.raises(SeriesError, match="brain-without-contrast"):
        brain_range(np.full(RAMP.shape, value, np.float32), EVERYWHERE)
