import numpy as np
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from mri_guard.attacks import Bayesian
from mri_guard.attacks.bayesian import LENGTHS, NOISE, posterior
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, victim


def test_agrees_with_scikit_learn_on_the_likeliest_process() -> None:
    rng = generator(0, "test")
    asked, places = rng.uniform(-1, 1, (30, 4)), rng.uniform(-1, 1, (20, 4))
    seen = np.sin(2 * asked[:, 0]) + asked[:, 1] * asked[:, 2]
    seen = (seen - seen.mean()) / seen.std()
    fits = [
        GaussianProcessRegressor(Matern(share * 2.0, nu=2.5), alpha=NOISE, optimizer=None).fit(
            asked, seen
        )
        for share in LENGTHS
    ]
    likeliest = max(fits, key=lambda fit: fit.log_marginal_likelihood_value_)
    for ours, theirs in zip(
        posterior(asked, seen, places), likeliest.predict(places, return_std=True), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_finds_the_corner_of_a_score_that_is_coarse_and_linear() -> None:
    quarters = torch.zeros_like(IMAGE)
    quarters[..., :8, :8] = 1.0
    quarters[..., 8:, 8:] = -1.0
    attacked = victim(lambda x: (x * quarters).sum((1, 2, 3)))
    found = Bayesian()(attacked, 0.1, generator(0, "test"))
    gain = (found.margins - attacked.margins(IMAGE)).sum()
    best = 0.1 * quarters[MASK].abs().sum()
    assert gain > 0.75 * best


def test_learns_from_its_looks() -> None:
    """Better than as many random corners."""
    quarters = torch.sin(torch.arange(16.0) / 2.5)[:, None] * torch.cos(torch.arange(16.0) / 2.5)
    attacked = victim(lambda x: (x * quarters).sum((1, 2, 3)))
    gains = []
    for random in (10, 60):
        found = Bayesian(random=random)(attacked, 0.1, generator(0, "test"))
        gains.append(float((found.margins - attacked.margins(IMAGE)).sum()))
    assert gains[0] > 1.15 * gains[1]
