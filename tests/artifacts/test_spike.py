import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_guard.artifacts import Spike
from mri_guard.determinism import generator


def test_changes_one_sample_of_k_space_that_one_plane_wave_is() -> None:
    """Stripes too faint to fold at 0: as the image is real, each wave is seen with its mirror."""
    image = np.ones((20, 32), dtype=np.float32)
    result = Spike(height=0.01, x_cycles=0.25, y_cycles=-0.125, phase_rad=0.7)(image)
    spectrum = np.abs(np.fft.fft2(result)) / image.size
    strongest = np.argsort(spectrum.ravel())[::-1][:3]
    found = {tuple(int(i) for i in np.unravel_index(one, image.shape)) for one in strongest}
    assert found == {(0, 0), (5, 28), (15, 4)}
    assert np.isclose(spectrum[5, 28], 0.005, rtol=0.02)
    assert np.isclose(spectrum[0, 0], 1.0, rtol=0.001)


def test_measures_its_height_by_each_slices_own_mean() -> None:
    image = np.ones((16, 16, 2), dtype=np.float32)
    image[..., 1] = 10.0
    change = np.abs(Spike(0.2, 0.25, 0.0, 0.0)(image) - image).max((0, 1))
    assert np.allclose(change, [0.2, 2.0], rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(
    height=st.floats(0, 1), x=st.floats(-0.5, 0.5), y=st.floats(-0.5, 0.5), phase=st.floats(0, 6.3)
)
def test_moves_no_pixel_further_than_the_stripes_are_high(
    height: float, x: float, y: float, phase: float
) -> None:
    image = generator(0, "spike").uniform(0, 1, (12, 15)).astype(np.float32)
    change = np.abs(Spike(height, x, y, phase)(image) - image).max()
    assert change <= height * image.mean() * (1 + 1e-5) + 1e-6
