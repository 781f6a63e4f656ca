"""What a few directions explain of a slice."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mri_guard.evaluation.baseline_parts.fixed_grid import residual, to_grid
from mri_guard.training.data import Subject

COUNT = 32


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Principal components of slices.

    Attributes:
        mean: (p,).
        directions: (k, p), orthonormal, by falling variance.
    """

    mean: Tensor
    directions: Tensor

    @classmethod
    def fit(cls, samples: Tensor, count: int) -> "Components":
        """Components of samples, (n, p); as many as asked for, n or p, whichever is least."""
        mean = samples.mean(0)
        _, _, directions = torch.linalg.svd(samples - mean, full_matrices=False)
        return cls(mean, directions[:count])

    @classmethod
    def of_slices(cls, subjects: Sequence[Subject], count: int = COUNT) -> "Components":
        """Components of the lesion-free slices with enough brain."""
        samples = torch.cat([to_grid(subject)[subject.centres] for subject in subjects])
        return cls.fit(samples.flatten(1), count)

    def restore(self, samples: Tensor) -> Tensor:
        """The nearest that the components make of samples, (n, p)."""
        return self.mean + (samples - self.mean) @ self.directions.T @ self.directions

    def residual(self, subject: Subject) -> Tensor:
        """What they do not explain, signed, (z, x, y) of the subject's box."""
        slices = to_grid(subject)
        return residual(subject, self.restore(slices.flatten(1)).reshape(slices.shape))
