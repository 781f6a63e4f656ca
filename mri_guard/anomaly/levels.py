"""What each latent level carries: when it is asleep, and the model with some of them silent."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mri_guard.anomaly.model import Vae

ACTIVE_VARIANCE = 0.01
"""A latent unit whose posterior mean varies less over the data is asleep (Burda et al. 2016,
arXiv:1509.00519, section 5)."""


@contextmanager
def silenced(model: Vae, *levels: int) -> Iterator[None]:
    """Inside, the decoder hears the prior's mean, 0, from these levels instead of what they found.

    In evaluation mode, where the posterior's mean is what is heard.

    Args:
        model: whose `posterior` of these levels says 0 for its mean; the rest is as it was.
        levels: finest is 0; one without a latent has nothing to silence.
    """

    def without_mean(_: nn.Module, __: tuple[Tensor, ...], found: Tensor) -> Tensor:
        mean, log_variance = found.chunk(2, 1)
        return torch.cat([torch.zeros_like(mean), log_variance], 1)

    handles = [
        model.posterior[level].register_forward_hook(without_mean)
        for level in levels
        if model.config.latents[level]
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
