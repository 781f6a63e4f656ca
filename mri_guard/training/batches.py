"""Batches to learn from, each a function of the seed and its number alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.determinism import generator
from mri_guard.training.augmentation import Appearance
from mri_guard.training.data import Subject
from mri_guard.training.synthetic_lesions import Kind, Window, coarse_noise, corrupt

Groups = Sequence[Sequence[Subject]]
"""Subjects by manifest: each manifest is drawn from as often as the others, whatever its size."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step sees.

    Attributes:
        window: float32, (b, s, x, y), corrupted.
        position: float32, (b, 3, x, y), or in three dimensions (b, 3, s, x, y).
        target: float32, (b, r, x, y), what is to be restored before it was corrupted: the window's
            middle slice, or in three dimensions all of it.
        brain: float32, like target, 0 or 1.
        lesion: float32, like target, 0..1, how much of a lesion lies there.
        drawn: sample and kind of each lesion.
        calm: like window, before an adversary changed its pixels; None where nobody asks for it.
    """

    window: Tensor
    position: Tensor
    target: Tensor
    brain: Tensor
    lesion: Tensor
    drawn: tuple[tuple[int, int], ...]
    calm: Tensor | None = None

    @property
    def seen(self) -> Tensor:
        """What of the window is to be restored, like target."""
        margin = (self.window.shape[1] - self.target.shape[1]) // 2
        return self.window[:, margin : margin + self.target.shape[1]]

    @property
    def place(self) -> Tensor:
        """Position of each slice that is to be restored, (b * r, 3, x, y)."""
        by_slice = self.position if self.position.dim() == 4 else self.position.transpose(1, 2)
        return by_slice.reshape(-1, *by_slice.shape[-3:])

    def to(self, device: torch.device | str) -> "Batch":
        """The same on a device."""
        parts = (self.window, self.position, self.target, self.brain, self.lesion)
        window, position, target, brain, lesion = (part.to(device) for part in parts)
        return Batch(window, position, target, brain, lesion, self.drawn)

    def of_kinds(self, wanted: Collection[int]) -> "Batch":
        """The samples with a lesion of these kinds, in their order; may be none."""
        kept = sorted({sample for sample, kind in self.drawn if kind in wanted})
        parts = (self.window, self.position, self.target, self.brain, self.lesion)
        window, position, target, brain, lesion = (part[kept] for part in parts)
        drawn = tuple((kept.index(sample), kind) for sample, kind in self.drawn if sample in kept)
        return Batch(window, position, target, brain, lesion, drawn)


@dataclass(frozen=True, slots=True, eq=False)
class Corruption:
    """How windows are corrupted.

    Attributes:
        kinds: of lesions to draw from.
        odds: float64, probability of each kind.
        lesion_share: share of windows with one or two lesions.
        noise_share: share of windows with coarse noise.
        shapes: of real lesions.
    """

    kinds: Sequence[Kind]
    odds: NDArray[np.float64]
    lesion_share: float
    noise_share: float
    shapes: Sequence[Window] = ()


def training_batch(
    groups: Groups,
    seed: int,
    step: int,
    *,
    size: int,
    crop_px: int,
    corruption: Corruption,
    appearance: Appearance,
) -> Batch:
    """The batch of one training step.

    Args:
        groups: of the train split.
        seed: root seed.
        step: its number.
        size: windows.
        crop_px: sides of each.
        corruption: of the input alone.
        appearance: of input and target alike.
    """
    rng = generator(seed, "training batch", step)
    samples, drawn = [], []
    for index in range(size):
        subject = _subject(groups, rng)
        image, brain, position = _crop(subject, crop_px, rng)
        donor, _, _ = _crop(_subject(groups, rng), crop_px, rng)
        image = appearance(image, brain, rng)
        kept = subject.restored
        window, lesion = image, np.zeros_like(image[kept])
        if rng.random() < corruption.lesion_share:
            for _ in range(rng.integers(1, 3)):
                kind = int(rng.choice(len(corruption.kinds), p=corruption.odds))
                window, soft = corrupt(
                    window,
                    brain,
                    donor,
                    corruption.kinds[kind],
                    depth_px=subject.depth_px,
                    rng=rng,
                    shapes=corruption.shapes,
                    middle=kept,
                )
                if soft is not None:
                    lesion = np.maximum(lesion, soft[kept])
                    drawn.append((index, kind))
        if rng.random() < corruption.noise_share:
            window = coarse_noise(window, brain, rng)
        samples.append((window, position, image[kept], brain[kept], lesion))
    return _batch(samples, drawn)


def held_out_batches(
    groups: Groups, seed: int, kinds: Sequence[Kind], *, size: int, count: int, crop_px: int
) -> list[Batch]:
    """Fixed batches with one lesion in each window: what models are measured by.

    Args:
        groups: of the validation split.
        seed: root seed.
        kinds: of the lesions, all drawn alike.
        size: windows in each.
        count: batches.
        crop_px: sides of each window.
    """
    batches = []
    for number in range(count):
        rng = generator(seed, "held-out batch", number)
        samples, drawn = [], []
        for index in range(size):
            subject = _subject(groups, rng)
            image, brain, position = _crop(subject, crop_px, rng)
            kind = int(rng.integers(len(kinds)))
            kept = subject.restored
            window, soft = corrupt(
                image, brain, image, kinds[kind], depth_px=subject.depth_px, rng=rng, middle=kept
            )
            lesion = np.zeros_like(image[kept]) if soft is None else soft[kept]
            drawn.append((index, kind))
            samples.append((window, position, image[kept], brain[kept], lesion))
        batches.append(_batch(samples, drawn))
    return batches


def _subject(groups: Groups, rng: np.random.Generator) -> Subject:
    group = groups[int(rng.integers(len(groups)))]
    return group[int(rng.integers(len(group)))]


def _crop(
    subject: Subject, side: int, rng: np.random.Generator
) -> tuple[Window, NDArray[np.bool_], NDArray[np.float32]]:
    """A lesion-free window of a subject, cut to a square somewhere and mirrored half the time."""
    image, brain, position = subject.window(int(rng.choice(subject.centres)))
    short = [(0, max(0, side - length)) for length in image.shape[1:]]
    first = [int(rng.integers(max(0, length - side) + 1)) for length in image.shape[1:]]
    x, y = (slice(start, start + side) for start in first)
    before = [(0, 0)] * (position.ndim - 2)
    image, brain, position = (
        np.pad(image, ((0, 0), *short))[:, x, y],
        np.pad(brain, ((0, 0), *short))[:, x, y],
        np.pad(position, (*before, *short))[..., x, y],
    )
    if rng.random() < 0.5:
        image, brain, position = image[:, ::-1], brain[:, ::-1], position[..., ::-1, :].copy()
        position[0] *= -1
    return image, brain, position


def _batch(
    samples: Sequence[tuple[NDArray[np.generic], ...]], drawn: Sequence[tuple[int, int]]
) -> Batch:
    stacked = (np.stack(parts).astype(np.float32) for parts in zip(*samples, strict=True))
    window, position, target, brain, lesion = (torch.from_numpy(part) for part in stacked)
    return Batch(window, position, target, brain, lesion, tuple(drawn))
