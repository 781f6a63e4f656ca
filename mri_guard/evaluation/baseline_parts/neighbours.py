"""How far the local features of an image lie from any that lesion-free images have.

PatchCore (Roth et al. 2022, arXiv:2106.08265) with a random subset for its coreset, which it finds
to cost little (section 4.4.2 there), and the mean over a few neighbours for its reweighting.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mri_guard.anomaly import Vae
from mri_guard.anomaly.scorer import parts
from mri_guard.determinism import generator
from mri_guard.training.data import Subject

MEMORY = 4000
NEIGHBOURS = 5
CHUNK = 4096
"""Distances are taken for so many features at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Features of lesion-free images, each channel less its mean, over its spread.

    Attributes:
        encoder: in evaluation mode.
        mean: (f,).
        spread: (f,), positive.
        bank: (n, f).
        neighbours: that the distance is averaged over.
    """

    encoder: Vae
    mean: Tensor
    spread: Tensor
    bank: Tensor
    neighbours: int

    @classmethod
    def fit(cls, encoder: Vae, subjects: Sequence[Subject], seed: int) -> "Memory":
        """A random `MEMORY` of the features, as many from each subject.

        Args:
            encoder: whose features; put into evaluation mode.
            subjects: of the train split; their lesion-free windows count.
            seed: root seed.
        """
        encoder.eval()
        rng = generator(seed, "baselines", "memory")
        each = -(-MEMORY // len(subjects))
        drawn = []
        for subject in subjects:
            found = local_features(encoder, subject)[subject.centres]
            brain = torch.from_numpy(subject.brain[subject.centres]).float()
            share = functional.adaptive_avg_pool2d(brain, (found.shape[2], found.shape[3]))
            inside = found.movedim(1, -1)[share > 0.5]
            drawn.append(inside[rng.permutation(len(inside))[:each]])
        features = torch.cat(drawn)
        mean, spread = features.mean(0), features.std(0, correction=0).clamp_min(1e-6)
        return cls(encoder, mean, spread, (features - mean) / spread, NEIGHBOURS)

    def distances(self, subject: Subject) -> Tensor:
        """Mean distance to the nearest in memory, (z, x, y) of the subject's box."""
        features = local_features(self.encoder, subject)
        depth, _, width, height = features.shape
        flat = ((features.movedim(1, -1) - self.mean) / self.spread).flatten(0, 2)
        nearest = nearest_distances(flat, self.bank, self.neighbours)
        spread_out = functional.interpolate(
            nearest.reshape(depth, 1, width, height), subject.image.shape[1:], mode="bilinear"
        )
        return spread_out[:, 0] * torch.from_numpy(subject.brain)


def local_features(encoder: Vae, subject: Subject) -> Tensor:
    """Features of the second and third level, each averaged over 3 x 3 places, (z, f, x', y').

    x' and y' are of the second level, half of the image's; of the first where there is but one.
    """
    image, positions = torch.from_numpy(subject.image), torch.from_numpy(subject.positions)
    with torch.inference_mode():
        return torch.cat(
            [
                _features(encoder, window, place)
                for window, place in parts(encoder.config, image, positions, subject.step)
            ]
        )


def _features(encoder: Vae, window: Tensor, place: Tensor) -> Tensor:
    """Of the middle slice of each window, as `local_features`."""
    levels = []
    features = encoder.stem(encoder.seen(window, place))
    for level, block in enumerate(encoder.encode):
        features = block(features)
        middle = features[:, :, features.shape[2] // 2] if features.dim() == 5 else features
        levels.append(functional.avg_pool2d(middle, 3, 1, 1))
        if level < len(encoder.down):
            features = encoder.down[level](features)
    taken = levels[1:3] or levels
    size = taken[0].shape[2:]
    return torch.cat([functional.interpolate(one, size, mode="bilinear") for one in taken], 1)


def nearest_distances(points: Tensor, bank: Tensor, neighbours: int) -> Tensor:
    """Mean Euclidean distance of each point to its nearest in the bank, (n,).

    Args:
        points: (n, f).
        bank: (m, f).
        neighbours: over how many of the bank, or all of it where it has fewer.
    """
    count = min(neighbours, len(bank))
    return torch.cat(
        [
            torch.cdist(some, bank).topk(count, largest=False).values.mean(1)
            for some in torch.split(points, CHUNK)
        ]
    )
