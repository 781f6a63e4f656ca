"""A scan as attacks see it: the slices of one kind as the goals of one image."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from mri_guard.anomaly import Vae, VaeScorer, slice_gap_mm, tensors
from mri_guard.anomaly.scorer import slice_scores
from mri_guard.attacks import Direction, Victim
from mri_guard.records import Preprocessed


def slices_of(lesion: NDArray[np.bool_], direction: Direction) -> NDArray[np.bool_]:
    """Slices that an attacker wants moved, bool, (z,): those with lesion to evade, those without
    and not next to one with to alarm.

    Args:
        lesion: bool, (x, y, z).
        direction: of the attack.
    """
    ill = lesion.any(axis=(0, 1))
    return np.asarray(ill if direction == "evade" else ~ndimage.binary_dilation(ill))


def slice_victim(
    scorer: VaeScorer,
    preprocessed: Preprocessed,
    wanted: NDArray[np.bool_],
    *,
    direction: Direction,
    threshold: float,
    scale: float = 1.0,
) -> tuple[Victim, NDArray[np.int64]] | None:
    """The victim, and the numbers of the slices that are its goals, in its scores' order; None
    where no wanted slice has a score.

    Its latents are those of the whole stack, where the scorer's model is a `Vae`.

    Args:
        scorer: that is attacked; on its device.
        preprocessed: the clean scan; its brain mask is taken as given.
        wanted: bool, (z,).
        direction: of the attack.
        threshold: of slice scores.
        scale: standard deviation of healthy slice scores.
    """
    device = next(scorer.model.parameters()).device
    image, brain = tensors(preprocessed, device)
    mask = _stack(preprocessed.head, device)
    gap_mm = slice_gap_mm(preprocessed)
    enough = brain.flatten(1).sum(1).cpu().numpy() >= scorer.config.smallest_slice_px
    numbers = np.flatnonzero(wanted & enough)
    if not len(numbers):
        return None

    def scores(changed: Tensor) -> Tensor:
        anomaly = scorer.map_tensor(changed, brain, gap_mm)[0].abs()
        return slice_scores(anomaly[numbers], brain[numbers], scorer.config)

    def latents(changed: Tensor) -> Tensor:
        return scorer.posterior_tensor(changed, brain, gap_mm)

    low, high = preprocessed.intensity_low, preprocessed.intensity_high
    victim = Victim(
        image,
        mask,
        scores,
        direction,
        threshold,
        scale,
        no_signal=-low / (high - low),
        latents=latents if isinstance(scorer.model, Vae) else None,
    )
    return victim, numbers


def scan_victim(
    scorer: VaeScorer,
    preprocessed: Preprocessed,
    *,
    direction: Direction,
    threshold: float,
    scale: float = 1.0,
) -> Victim:
    """The victim whose one goal is the scan's own score.

    Args:
        scorer: that is attacked; on its device.
        preprocessed: the clean scan; its brain mask is taken as given.
        direction: of the attack.
        threshold: of scan scores.
        scale: standard deviation of healthy scan scores.
    """
    device = next(scorer.model.parameters()).device
    image, brain = tensors(preprocessed, device)
    gap_mm = slice_gap_mm(preprocessed)

    def scores(changed: Tensor) -> Tensor:
        return scorer.score_tensor(changed, brain, gap_mm)[None]

    return Victim(image, _stack(preprocessed.head, device), scores, direction, threshold, scale)


def _stack(mask: NDArray[np.bool_], device: torch.device | str) -> Tensor:
    """A mask (x, y, z) as bool (z, 1, x, y)."""
    return torch.from_numpy(np.moveaxis(mask, 2, 0).copy())[:, None].to(device)
