import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from mri_guard.determinism import generator
from mri_guard.evaluation.baseline_parts.components import Components
from mri_guard.evaluation.baseline_parts.fixed_grid import GRID, residual, to_grid
from mri_guard.evaluation.baseline_parts.score import as_seen
from tests.evaluation.toy_material import toys
from tests.toys import TINY

SUBJECT = as_seen(toys(1)[0], TINY)


@pytest.mark.parametrize("count", [1, 5, 12])
def test_restores_what_scikit_learns_components_restore(count: int) -> None:
    rng = generator(0, "components")
    samples = rng.standard_normal((40, 4)) @ rng.standard_normal((4, 30)) + 3
    samples = (samples + 0.3 * rng.standard_normal((40, 30))).astype(np.float32)
    others = rng.standard_normal((7, 30)).astype(np.float32)
    reference = PCA(count, svd_solver="full").fit(samples)
    ours = Components.fit(torch.from_numpy(samples), count)
    expected = reference.inverse_transform(reference.transform(others))
    assert ours.restore(torch.from_numpy(others)).numpy() == pytest.approx(expected, abs=1e-4)


def test_leaves_nothing_over_of_what_it_was_fitted_on_when_all_components_are_kept() -> None:
    components = Components.of_slices([SUBJECT], count=1000)
    left = components.residual(SUBJECT)[SUBJECT.centres]
    beside = residual(SUBJECT, to_grid(SUBJECT))[SUBJECT.centres]
    assert left.numpy() == pytest.approx(beside.numpy(), abs=1e-4)


def test_fills_the_grid_with_the_brain_and_comes_back() -> None:
    slices = to_grid(SUBJECT)
    assert tuple(slices.shape[1:]) == (1, *GRID)
    middle = slices[len(slices) // 2, 0]
    assert middle[0].any()
    assert middle[-1].any()
    back = residual(SUBJECT, slices)
    inside = torch.from_numpy(SUBJECT.brain)
    assert not back[~inside].any()
    # Noise of 0.03 and an edge, through a finer grid and back.
    assert float(back[inside].abs().mean()) < 0.05
