"""The VAE's latent distribution moved away from the clean image's (Kos et al. 2018,
arXiv:1702.06832; by divergence, Kuzina et al. 2021, arXiv:2103.06701).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks.engine import Access, Found, Linf, Search, Threat, Victim, ascend


@dataclass(frozen=True, slots=True)
class Posterior:
    """Signed steps away from the clean image's posterior; the scores are looked at on the way.

    It knows no threshold: what it finds tells how much the scores depend on where the latents are.
    At the clean image the distance has no slope, so it begins half a step of the score's gradient
    away, on the side that is wanted, and a little noise; further starts are random.

    Attributes:
        steps: gradient steps from each start.
        step_size: of the first step, as a share of epsilon; the last is a tenth of it.
        starts: in all.
        measure: divergence: KL of the attacked posterior from the clean one. distance: squared,
            of their means.
    """

    name: ClassVar[str] = "posterior"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.GRADIENT
    steps: int = 20
    step_size: float = 0.25
    starts: int = 1
    measure: Literal["divergence", "distance"] = "divergence"

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The furthest that the scores came.

        Args:
            victim: see `Victim`; with latents.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws starts.

        Raises:
            ValueError: the victim has no latents. To attack its scores instead, in silence, would
                pass for an attack on a posterior that nobody made.
        """
        latents = victim.latents
        if latents is None:
            raise ValueError("victim.latents is None; wanted the posterior of an image")
        with torch.no_grad():
            clean = latents(victim.image)
        away = divergence if self.measure == "divergence" else distance
        search, ball = Search(victim), Linf(victim, epsilon)
        _, gradient = search.climb(ball.rest(), ball.image)
        start = ball.project(0.5 * ball.steepest(gradient) + 0.1 * ball.draw(rng))
        for _ in range(self.starts):
            ascend(
                search,
                ball,
                start,
                steps=self.steps,
                step_size=self.step_size,
                last_step_size=self.step_size / 10,
                aim=lambda image: away(latents(image), clean),
            )
            start = ball.draw(rng)
        return search.found()


def divergence(posterior: Tensor, other: Tensor) -> Tensor:
    """KL of a posterior from another, nats, a scalar.

    Args:
        posterior: means and log variances, (2, n).
        other: like posterior.
    """
    mean, log_variance = posterior - other
    each: Tensor = log_variance.expm1() - log_variance + mean.square() / other[1].exp()
    return each.sum() / 2


def distance(posterior: Tensor, other: Tensor) -> Tensor:
    """Squared distance of the means, a scalar; arguments as `divergence`."""
    return (posterior[0] - other[0]).square().sum()
