"""Batches to learn from, each a function of the seed and its number alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.determinism import generator
from mri_guard.training.augmentation import Appearance
from mri_guard.training.data import Subject
from mri_guard.training.synthetic_lesions import (
    HELD_OUT,
    TRAINED,
    Change,
    Window,
    coarse_noise,
    corrupt,
)

Groups = Sequence[Sequence[Subject]]
"""Subjects by manifest: each manifest is drawn from as often as the others, whatever its size."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step sees.

    Attributes:
        window: float32, (b, s, x, y), corrupted.
        position: float32, (b, 3, x, y).
        target: float32, (b, 1, x, y), the centre slice before it was corrupted.
        brain: float32, (b, 1, x, y), 0 or 1.
        lesion: float32, (b, 1, x, y), 0..1, how much of a lesion lies there.
    """

    window: Tensor
    position: Tensor
    target: Tensor
    brain: Tensor
    lesion: Tensor


def training_batch(
    groups: Groups,
    seed: int,
    step: int,
    *,
    size: int,
    crop_px: int,
    lesion_share: float,
    noise_share: float,
    appearance: Appearance,
) -> Batch:
    """The batch of one training step.

    Args:
        groups: of the train split.
        seed: root seed.
        step: its number.
        size: windows.
        crop_px: sides of each.
        lesion_share: share of windows with one or two synthetic lesions.
        noise_share: share of windows with coarse noise.
        appearance: of input and target alike.
    """
    rng = generator(seed, "training batch", step)
    samples = []
    for _ in range(size):
        subject = _subject(groups, rng)
        image, brain, position = _crop(subject, crop_px, rng)
        donor, _, _ = _crop(_subject(groups, rng), crop_px, rng)
        image = appearance(image, brain, rng)
        window, lesion = image, np.zeros(image.shape[1:], dtype=np.float32)
        if rng.random() < lesion_share:
            for _ in range(rng.integers(1, 3)):
                window, one = _corrupt(
                    window, brain, donor, TRAINED, depth_px=subject.depth_px, rng=rng
                )
                lesion = np.maximum(lesion, one)
        if rng.random() < noise_share:
            window = coarse_noise(window, brain, rng)
        centre = len(image) // 2
        samples.append((window, position, image[centre][None], brain[centre][None], lesion[None]))
    return _batch(samples)


def held_out_batches(
    groups: Groups, seed: int, *, size: int, count: int, crop_px: int
) -> list[Batch]:
    """Fixed batches with lesions of the held-out families alone: what checkpoints are chosen by.

    Args:
        groups: of the validation split.
        seed: root seed.
        size: windows in each.
        count: batches.
        crop_px: sides of each window.
    """
    batches = []
    for index in range(count):
        rng = generator(seed, "held-out batch", index)
        samples = []
        for _ in range(size):
            subject = _subject(groups, rng)
            image, brain, position = _crop(subject, crop_px, rng)
            window, lesion = _corrupt(
                image, brain, image, HELD_OUT, depth_px=subject.depth_px, rng=rng
            )
            centre = len(image) // 2
            samples.append(
                (window, position, image[centre][None], brain[centre][None], lesion[None])
            )
        batches.append(_batch(samples))
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
    image, brain, position = (
        np.pad(image, ((0, 0), *short))[:, x, y],
        np.pad(brain, ((0, 0), *short))[:, x, y],
        np.pad(position, ((0, 0), *short))[:, x, y],
    )
    if rng.random() < 0.5:
        image, brain, position = image[:, ::-1], brain[:, ::-1], position[:, ::-1]
        position = position * np.array([-1, 1, 1], dtype=np.float32)[:, None, None]
    return image, brain, position


def _corrupt(
    window: Window,
    brain: NDArray[np.bool_],
    donor: Window,
    families: tuple[Change, ...],
    *,
    depth_px: float,
    rng: np.random.Generator,
) -> tuple[Window, Window]:
    """The window with a lesion, and how much of it lies in the centre slice, (x, y)."""
    changed, lesion = corrupt(window, brain, donor, families, depth_px=depth_px, rng=rng)
    if lesion is None:
        return changed, np.zeros(window.shape[1:], dtype=np.float32)
    return changed, lesion.soft[len(window) // 2]


def _batch(samples: Sequence[tuple[NDArray[np.generic], ...]]) -> Batch:
    stacked = (np.stack(parts).astype(np.float32) for parts in zip(*samples, strict=True))
    window, position, target, brain, lesion = (torch.from_numpy(part) for part in stacked)
    return Batch(window, position, target, brain, lesion)
