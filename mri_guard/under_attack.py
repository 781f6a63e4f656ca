"""A scan as attacks see it: the slices of one kind as the goals of one image."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from mri_guard.anomaly import Vae, VaeScorer, slice_gap_mm, tensors
from mri_guard.anomaly.scorer import scan_score, slice_scores
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
    _, brain = tensors(preprocessed, "cpu")
    enough = brain.flatten(1).sum(1).numpy() >= scorer.config.smallest_slice_px
    numbers = np.flatnonzero(wanted & enough)
    if not len(numbers):
        return None

    def rule(anomaly: Tensor, brain: Tensor) -> Tensor:
        return slice_scores(anomaly[numbers], brain[numbers], scorer.config)

    return _victim(scorer, preprocessed, rule, direction, threshold, scale), numbers


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

    def rule(anomaly: Tensor, brain: Tensor) -> Tensor:
        return scan_score(anomaly, brain, scorer.config)[None]

    return _victim(scorer, preprocessed, rule, direction, threshold, scale)


def _victim(  # noqa: PLR0917 - the fields of a victim
    scorer: VaeScorer,
    preprocessed: Preprocessed,
    rule: Callable[[Tensor, Tensor], Tensor],
    direction: Direction,
    threshold: float,
    scale: float,
) -> Victim:
    """A victim whose scores are made by a rule of map and brain, each (z, 1, x, y)."""
    device = next(scorer.model.parameters()).device
    image, brain = tensors(preprocessed, device)
    head = torch.from_numpy(np.moveaxis(preprocessed.head, 2, 0).copy())[:, None].to(device)
    gap_mm = slice_gap_mm(preprocessed)
    low, high = preprocessed.intensity_low, preprocessed.intensity_high

    def scores(changed: Tensor) -> Tensor:
        return rule(scorer.map_tensor(changed, brain, gap_mm)[0].abs(), brain)

    def latents(changed: Tensor) -> Tensor:
        return scorer.posterior_tensor(changed, brain, gap_mm)

    return Victim(
        image,
        head,
        scores,
        direction,
        threshold,
        scale,
        no_signal=-low / (high - low),
        latents=latents if isinstance(scorer.model, Vae) else None,
    )
