import itertools

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from mri_guard.preprocess.orientation import from_ras, spacing_mm, to_ras

FRAMES = [
    np.array(
        [
            [sign if axis == row else 0.0 for axis, sign in zip(axes, signs, strict=True)]
            for row in range(3)
        ]
    )
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]


@given(
    frame=st.sampled_from(FRAMES),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 7.0)] * 3),
    tilt=st.floats(-0.3, 0.3),
    seed=st.integers(0, 1000),
)
def test_keeps_where_a_voxel_lies_in_the_world(frame, shape, spacing, tilt, seed):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ frame * np.array(spacing)
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    voxels = np.zeros(shape, np.float32)
    place = tuple(int(rng.integers(n)) for n in shape)
    voxels[place] = 1

    turned, new_affine = to_ras(voxels, affine)

    assert nibabel.aff2axcodes(new_affine) == ("R", "A", "S")
    (found,) = np.argwhere(turned)
    np.testing.assert_allclose(
        apply_affine(new_affine, found),
        apply_affine(affine, place),
        atol=1e-9,
    )
    np.testing.assert_array_equal(from_ras(turned, affine), voxels)


def test_reads_the_spacing_off_an_oblique_affine() -> None:
    affine = np.eye(4)
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    affine[:3, :3] = turn @ np.diag([0.5, 1.5, 6.0])
    assert spacing_mm(affine) == pytest.approx((0.5, 1.5, 6.0))
