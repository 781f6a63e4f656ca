"""What speaks for an anomaly, place by place, and how it is brought together.

The restoration's residual sees what no healthy brain shows there; the intensity against an atlas,
once the smooth field over the scan is taken out, what is rare there; the difference across the
plane of symmetry, what the other side does not have; the structure that the restoration does not
share, what is of the wrong texture. Each has other units and other places where healthy brains show
it too: each is measured in healthy spreads, then they are added up with fixed weights, averaged
over the neighbourhood, and the sum is measured in healthy spreads again, and at last in the scan's
own: one scanner's healthy brains are noisier than another's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor

from mri_guard.anomaly.bias_field import bias_field
from mri_guard.anomaly.losses import structural_similarity
from mri_guard.anomaly.residual import HealthyStatistics, in_own_spreads, smooth
from mri_guard.errors import BundleError
from mri_guard.records import Finite, Record
from mri_guard.symmetry import asymmetry

KINDS = ("restoration", "atlas", "asymmetry", "structure")
FUSED = "fused"

SMALLEST_OWN_SPREAD = 0.5
"""Healthy spreads: no scan is so quiet that less than this is unusual in it."""


class FusionConfig(Record):
    """How evidence is brought together.

    Attributes:
        restoration: weight of the restoration's residual.
        atlas: of the intensity against what is usual at its place.
        asymmetry: of the difference across the plane of symmetry.
        structure: of what the restoration does not share, 1 - SSIM, with the residual's sign.
        dark: share at which it counts that a place is too dark. Fluid varies more among the healthy
            than anything bright does, and a lesion casts its negative on the other side.
        own_share: share of the scan's own spread in the unit of the map; the rest is that of
            healthy scans. The own one makes scanners alike, and an attacker can move it: a little
            more or less everywhere, and every score is lower or higher.
        field_order: of the polynomial that is taken out of the intensity before the atlas judges
            it, see `bias_field`; None takes none out.
        smoothing_px: Gaussian standard deviation in the plane, pixels.
        smoothing_mm: the same across slices, millimetres.
    """

    restoration: Finite = 1.0
    atlas: Finite = 2.0
    asymmetry: Finite = 1.0
    structure: Finite = 0.1
    dark: float = Field(default=0.5, ge=0, le=1)
    own_share: float = Field(default=1.0, ge=0, le=1)
    field_order: int | None = Field(default=None, ge=0, le=6)
    smoothing_px: float = Field(default=1.5, ge=0, le=10)
    smoothing_mm: float = Field(default=5.0, ge=0, le=50)

    @property
    def weights(self) -> dict[str, float]:
        """Of each kind."""
        return {kind: float(getattr(self, kind)) for kind in KINDS}


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Signed evidence of each kind, positive where the image is brighter than it should be.

    Attributes:
        signed: of each of `KINDS`, (z, x, y), 0 outside the brain.
        inside: bool, (z, x, y), brain.
        positions: (z, 3, x, y), as `Frame.positions` gives them.
        gap_mm: from one slice to the next.
    """

    signed: dict[str, Tensor]
    inside: Tensor
    positions: Tensor
    gap_mm: float


def evidence(
    seen: Tensor, inside: Tensor, restored: Tensor, positions: Tensor, gap_mm: float
) -> Evidence:
    """Evidence of each kind; differentiable in image and restoration, but for the symmetry plane.

    Args:
        seen: (z, x, y), as `View` gives it.
        inside: see `Evidence`.
        restored: (z, x, y), in the units of `seen`.
        positions: see `Evidence`.
        gap_mm: see `Evidence`.
    """
    residual = (seen - restored) * inside
    unlike = 1 - structural_similarity(restored[:, None], seen[:, None])[:, 0]
    sign = torch.sign(smooth(residual, inside, 1.0, 0.0)).detach()
    signed = {
        "restoration": residual,
        "atlas": seen,
        "asymmetry": asymmetry(seen, inside).nan_to_num(0.0),
        "structure": sign * unlike * inside,
    }
    return Evidence(signed, inside, positions, gap_mm)


@dataclass(frozen=True, slots=True, eq=False)
class Fusion:
    """Evidence of every kind as one signed map in the scan's own spreads.

    Attributes:
        statistics: of each kind.
        fused: of their smoothed sum.
        config: weights and smoothing.
    """

    statistics: Mapping[str, HealthyStatistics]
    fused: HealthyStatistics
    config: FusionConfig

    @classmethod
    def fit(cls, healthy: Sequence[tuple[Evidence, Tensor]], config: FusionConfig) -> "Fusion":
        """From held-out brains.

        Args:
            healthy: evidence of each brain, and where it counts as healthy, bool, (z, x, y).
            config: see the class.

        Raises:
            ValueError: there is no healthy voxel.
        """
        statistics = _statistics(healthy)
        if config.field_order is not None:
            # Once more: an atlas of brains with their fields is wider than one without.
            levelled = [(_levelled(found, statistics, config), counts) for found, counts in healthy]
            statistics = _statistics(levelled)
        fused = HealthyStatistics.fit(
            (_sum(found, statistics, config), counts, found.positions) for found, counts in healthy
        )
        return cls(statistics, fused, config)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], config: FusionConfig) -> "Fusion":
        """From the bundle's `healthy.*` tensors.

        Raises:
            BundleError: a key, a shape or a value does not fit.
        """
        parts: dict[str, dict[str, Tensor]] = {kind: {} for kind in (*KINDS, FUSED)}
        for key, tensor in tensors.items():
            kind, _, name = key.partition(".")
            if kind not in parts:
                raise BundleError(f"healthy.{key} is unexpected; known are {', '.join(parts)}")
            parts[kind][name] = tensor
        found = {kind: HealthyStatistics.from_tensors(part, kind) for kind, part in parts.items()}
        return cls({kind: found[kind] for kind in KINDS}, found[FUSED], config)

    def tensors(self) -> dict[str, Tensor]:
        """All statistics by name, for the bundle."""
        every = {**self.statistics, FUSED: self.fused}
        return {
            f"{kind}.{name}": tensor
            for kind, one in every.items()
            for name, tensor in one.tensors().items()
        }

    def __call__(self, found: Evidence) -> Tensor:
        """Signed map, (z, x, y), own spreads, 0 outside the brain; differentiable."""
        standard = self.in_healthy_spreads(found)
        config = self.config
        return in_own_spreads(
            standard, found.inside, config.dark, SMALLEST_OWN_SPREAD, config.own_share
        )

    def part(self, found: Evidence, kind: str) -> Tensor:
        """What one of `KINDS` says alone, smoothed, in its own healthy spreads, (z, x, y): what the
        sum takes in before it is weighed; of the intensity as it is, no field taken out.
        """
        return _part(found, self.statistics, self.config, kind)

    def in_healthy_spreads(self, found: Evidence) -> Tensor:
        """The same before it is measured in the scan's own spread, too dark like too bright."""
        total = _sum(found, self.statistics, self.config)
        return self.fused.standardise(total, found.positions) * found.inside


def _statistics(healthy: Sequence[tuple[Evidence, Tensor]]) -> dict[str, HealthyStatistics]:
    """Of each kind, where the brains count as healthy."""
    return {
        kind: HealthyStatistics.fit(
            (found.signed[kind], counts, found.positions) for found, counts in healthy
        )
        for kind in KINDS
    }


def _sum(
    found: Evidence, statistics: Mapping[str, HealthyStatistics], config: FusionConfig
) -> Tensor:
    """Weighted sum of all evidence in healthy spreads, smoothed, (z, x, y)."""
    total = torch.zeros_like(found.inside, dtype=found.signed[KINDS[0]].dtype)
    found = _levelled(found, statistics, config)
    for kind, weight in config.weights.items():
        if weight:
            standard = statistics[kind].standardise(found.signed[kind], found.positions)
            total = total + weight * standard
    return _neighbourhood(total, found, config)


def _levelled(
    found: Evidence, statistics: Mapping[str, HealthyStatistics], config: FusionConfig
) -> Evidence:
    """Intensity without the field that lies over it, where the configuration takes one out and the
    intensity has weight; the rest as it was.

    A restoration of no weight is not asked what is suspect.
    """
    if config.field_order is None or not config.atlas:
        return found
    seen, inside, positions = found.signed["atlas"], found.inside, found.positions
    usual = statistics["atlas"].at(positions)
    suspicion = torch.zeros_like(seen)
    if config.restoration:
        suspicion = _part(found, statistics, config, "restoration")
    field = bias_field(seen, inside, positions, usual, suspicion, config.field_order)
    return replace(found, signed={**found.signed, "atlas": seen / field * inside})


def _part(
    found: Evidence, statistics: Mapping[str, HealthyStatistics], config: FusionConfig, kind: str
) -> Tensor:
    """See `Fusion.part`."""
    standard = statistics[kind].standardise(found.signed[kind], found.positions)
    return _neighbourhood(standard, found, config)


def _neighbourhood(values: Tensor, found: Evidence, config: FusionConfig) -> Tensor:
    """Mean over each place's neighbourhood in the brain, (z, x, y)."""
    return smooth(values, found.inside, config.smoothing_px, config.smoothing_mm / found.gap_mm)
