"""A restoration VAE whose every path from encoder to decoder is a Gaussian latent.

A U-Net that restores an image copies what it should remove through its skips; a plain VAE blurs
what it should keep. Here each skip is a latent of its own with a rate (KL) that training pays for,
so that detail passes only as far as it is worth its rate: a hierarchical VAE (Sonderby et al. 2016,
arXiv:1602.02282), fully convolutional, with a standard normal prior at every level and with the
position in the brain as a condition of encoder and decoder alike.

In two dimensions it sees a window of slices and restores the middle one; in three it restores them
all. Slices lie several pixels apart, so that each level halves the plane and keeps every slice.
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from mri_guard.records import Record

POSITIONS = 3
"""Condition channels: place in the brain's bounding box along x, y and z, each -1..1."""

LOG_VARIANCE_RANGE = (-8.0, 4.0)


class ModelConfig(Record):
    """The network's shape.

    Attributes:
        dimensions: of its convolutions: 2 restores the middle slice of a window, 3 the whole one.
        neighbours: slices above and below the middle one in a window.
        context_mm: distance wanted from one of these slices to the next.
        channels: features at each level, finest first; each level halves the resolution.
        latents: latent channels at each level, finest first; 0 cuts the path.
        groups: of the group normalisation.
    """

    dimensions: Literal[2, 3] = 2
    neighbours: int = Field(default=1, ge=0, le=4)
    context_mm: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    channels: tuple[int, ...] = Field(default=(16, 32, 64, 96), min_length=1, max_length=6)
    latents: tuple[int, ...] = Field(default=(2, 4, 8, 16), min_length=1, max_length=6)
    groups: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _levels_agree(self) -> "ModelConfig":
        if len(self.channels) != len(self.latents):
            raise ValueError("channels and latents name different numbers of levels")
        if any(width % self.groups for width in self.channels):
            raise ValueError("groups does not divide every width in channels")
        if self.latents[-1] < 1 or min(self.latents) < 0:
            raise ValueError("the coarsest level needs a latent, and no count is negative")
        return self

    @property
    def multiple(self) -> int:
        """Image sides must be a multiple of this many pixels."""
        return 1 << (len(self.channels) - 1)


class Vae(nn.Module):
    """Restores the middle slice of a window, or in three dimensions all of its slices.

    Args:
        config: the network's shape.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        widths, latents = config.channels, config.latents
        deep = config.dimensions == 3
        conv: type[nn.Module] = nn.Conv3d if deep else nn.Conv2d
        halve = (1, 2, 2) if deep else (2, 2)
        images = 1 if deep else 2 * config.neighbours + 1

        self.stem = conv(images + POSITIONS, widths[0], 3, padding=1)
        self.encode = nn.ModuleList(_block(width, config) for width in widths)
        self.down = nn.ModuleList(
            conv(fine, coarse, 3, stride=halve, padding=1) for fine, coarse in pairwise(widths)
        )
        self.posterior = nn.ModuleList(
            conv(width, 2 * count, 1) if count else nn.Identity()
            for width, count in zip(widths, latents, strict=True)
        )
        self.prompt = nn.ModuleList(
            conv(count + POSITIONS, width, 3, padding=1)
            for width, count in zip(widths, latents, strict=True)
        )
        self.up = nn.ModuleList(conv(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.decode = nn.ModuleList(_block(width, config) for width in widths)
        self.head = nn.Sequential(
            nn.GroupNorm(config.groups, widths[0]),
            nn.SiLU(),
            conv(widths[0], 1, 3, padding=1),
        )

    def forward(
        self, window: Tensor, position: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """What is restored and the posterior of each level.

        Args:
            window: (b, 2 * neighbours + 1, x, y), normalised intensity, 0 outside the brain; x and
                y multiples of `config.multiple`.
            position: of the middle slice, (b, 3, x, y), -1..1; in three dimensions of every slice,
                (b, 3, 2 * neighbours + 1, x, y).
            generator: draws the latents. Without one, PyTorch's own does in training mode, and in
                evaluation mode the latents' mean is taken.

        Returns:
            (b, 1, x, y), in three dimensions (b, 2 * neighbours + 1, x, y); and mean and log
            variance (b, latents, x', y'), with the slices before x', of each level that has a
            latent, finest first.
        """
        deep = self.config.dimensions == 3
        positions = [position]
        for _ in self.down:
            finer = positions[-1]
            positions.append(
                functional.avg_pool3d(finer, (1, 2, 2)) if deep else functional.avg_pool2d(finer, 2)
            )

        posteriors = self.posteriors(window, position)
        levels = iter(posteriors)
        prompts: list[Tensor] = []
        for level, prompt in enumerate(self.prompt):
            condition = positions[level]
            if self.config.latents[level]:
                sample = self._sample(*next(levels), generator)
                condition = torch.cat([sample, condition], 1)
            prompts.append(prompt(condition))

        double = (1.0, 2.0, 2.0) if deep else (2.0, 2.0)
        out = self.decode[-1](prompts[-1])
        for level in reversed(range(len(self.up))):
            coarse = functional.interpolate(self.up[level](out), scale_factor=double)
            out = self.decode[level](coarse + prompts[level])
        restored = self.head(out)
        return restored[:, 0] if deep else restored, posteriors

    def posteriors(self, window: Tensor, position: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Mean and log variance of each level that has a latent, as `forward` gives them, for half
        its price: nothing is restored. Arguments as there.
        """
        features = self.stem(self.seen(window, position))
        found: list[tuple[Tensor, Tensor]] = []
        for level, block in enumerate(self.encode):
            features = block(features)
            if self.config.latents[level]:
                mean, log_variance = self.posterior[level](features).chunk(2, 1)
                found.append((mean, log_variance.clamp(*LOG_VARIANCE_RANGE)))
            if level < len(self.down):
                features = self.down[level](features)
        return found

    def seen(self, window: Tensor, position: Tensor) -> Tensor:
        """Window and position as the channels of the stem; arguments as `forward`."""
        images = window[:, None] if self.config.dimensions == 3 else window
        return torch.cat([images, position], 1)

    def _sample(
        self, mean: Tensor, log_variance: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Reparameterised draw in training mode or with a generator, the mean otherwise."""
        if not self.training and generator is None:
            return mean
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + noise * torch.exp(0.5 * log_variance)


def rates(posteriors: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Rate of each level: KL(posterior || N(0, I)) in nats, of the posterior's shape (Kingma and
    Welling 2014, arXiv:1312.6114, appendix B).
    """
    return [
        0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        for mean, log_variance in posteriors
    ]


def _block(width: int, config: ModelConfig) -> nn.Module:
    """Pre-activation residual block with group normalisation."""
    from monai.networks.blocks.segresnet_block import ResBlock  # noqa: PLC0415 - half of what a command takes to start

    block: nn.Module = ResBlock(
        config.dimensions,
        width,
        norm=("GROUP", {"num_groups": config.groups}),
        act=(nn.SiLU, {}),
    )
    return block
