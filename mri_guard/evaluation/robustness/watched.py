"""The detectors as an attacker sees them who knows them: what he has to stay below, as `hidden`.

Each detector's statistic is written in torch, on the model's grid and with the values that the
journey gives; the joint rule is the kit's own. Where the median pools magnitudes, the gradient is
that of their mean: the median's is that of a single voxel (BPDA, Athalye et al. 2018,
arXiv:1802.00420).
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from mri_guard.anomaly import VaeScorer, slice_gap_mm, tensors
from mri_guard.attacks.engine import straight_through
from mri_guard.decision import ThresholdPolicy
from mri_guard.defences import Median
from mri_guard.errors import SettingsError
from mri_guard.journey import Kit
from mri_guard.perturbation.detectors import FeatureSqueezing, Fragility, HighFrequency, Learnt
from mri_guard.perturbation.detectors.fragility import FILTER, SMALLEST_CHANGE, noise
from mri_guard.perturbation.detectors.high_frequency import WEIGHTS
from mri_guard.perturbation.joint import JointRule
from mri_guard.perturbation.spectrum import log_ratios, noise_log_ratios
from mri_guard.ports import Detector
from mri_guard.records import Preprocessed, Scan

Statistic = Callable[[Tensor], Tensor]
"""From an image, (z, 1, x, y), normalised intensity, to a detector's statistic, a scalar."""


def hidden(kit: Kit, scan: Scan, preprocessed: Preprocessed) -> Callable[[Tensor], Tensor]:
    """How far each detector is from holding an image, as `Victim.hidden`: (m,), in clean spreads.

    All are positive exactly where the joint rule does not hold the image, given this brain mask.

    Args:
        kit: whose detectors, joint rule and level are asked.
        scan: clean; the size of its pixels alone is looked at.
        preprocessed: the same scan; its brain mask is taken as given.

    Raises:
        SettingsError: a part of the kit is not one that this knows.
    """
    rule, policy = kit.combine, kit.policy
    if not isinstance(rule, JointRule) or not isinstance(policy, ThresholdPolicy):
        raise SettingsError("detectors are watched through a JointRule and a ThresholdPolicy alone")
    found = {detector.name: detector for detector in kit.detectors}
    statistics = [statistic(found[name], kit, scan, preprocessed) for name in rule.names]

    def margins(image: Tensor) -> Tensor:
        seen = torch.stack([one(image) for one in statistics])
        known = seen.detach().double().cpu().numpy()
        centre, spread = rule.scale(known)
        limit = rule.limit(known, policy.perturbation_alpha)
        # One scan hardly moves the scale: it passes no gradient. What the rule holds lies strictly
        # above the limit: a tie is still hidden.
        deviations = (seen - torch.from_numpy(centre).to(seen)) / torch.from_numpy(spread).to(seen)
        return limit - deviations + torch.finfo(seen.dtype).eps * (abs(limit) + 1)

    return margins


def statistic(detector: Detector, kit: Kit, scan: Scan, preprocessed: Preprocessed) -> Statistic:
    """One detector's statistic in torch, differentiable or passed through.

    Args:
        detector: of the kit.
        kit: see `hidden`.
        scan: see `hidden`.
        preprocessed: see `hidden`.

    Raises:
        SettingsError: it is not known here, or its scorer has no gradient.
    """
    if not isinstance(kit.scorer, VaeScorer):
        raise SettingsError("the kit's scorer has no gradient")
    scorer = kit.scorer
    device = next(scorer.model.parameters()).device
    _, brain = tensors(preprocessed, device)
    expected = torch.from_numpy(noise_log_ratios(scan)).float().to(device)
    gap_mm = slice_gap_mm(preprocessed)

    pooled = straight_through(
        lambda image: log_ratios(image, brain), lambda image: log_ratios(image, brain, torch.mean)
    )

    def excess(image: Tensor) -> Tensor:
        return pooled(image) - expected

    def change(image: Tensor, other: Tensor) -> Tensor:
        kept, moved = (scorer.map_tensor(one, brain, gap_mm)[0] for one in (image, other))
        return (moved - kept)[brain]

    match detector:
        case HighFrequency():
            balance = torch.tensor(WEIGHTS, device=device)
            return lambda image: balance @ excess(image)
        case Learnt():
            direction = torch.tensor(detector.direction, device=device)
            return lambda image: direction @ excess(image)
        case FeatureSqueezing(squeezers=(Median() as median,)):
            return lambda image: change(image, filtered(image, median.size)).abs().mean()
        case Fragility():
            shake, _ = tensors(replace(preprocessed, image=noise(preprocessed.image.shape)), device)

            def fragility(image: Tensor) -> Tensor:
                given_way = change(image, filtered(image, FILTER.size)).abs().mean()
                return change(image, image + shake).mean().abs() / given_way.clamp(SMALLEST_CHANGE)

            return fragility
    raise SettingsError(f"the detector {detector.name} cannot be watched: no statistic in torch")


def filtered(image: Tensor, size: int) -> Tensor:
    """The median filter of `defences.Median`, differentiable, like image.

    Args:
        image: (z, 1, x, y).
        size: side of the neighbourhood, odd.
    """
    padded = functional.pad(image, (size // 2,) * 4, mode="replicate")
    around = padded.unfold(2, size, 1).unfold(3, size, 1).flatten(4)
    return around.median(-1).values
