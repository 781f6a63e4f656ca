"""Two ways in which a VAE detects nothing, and the refusal to ship either.

Posterior collapse: the latents say nothing, and the restoration is the same for everybody. The
identity: the latents say everything, and the lesion is restored too.
"""

from collections.abc import Sequence

import torch

from mri_guard.anomaly import HealthyStatistics, Vae, rates
from mri_guard.anomaly.levels import ACTIVE_VARIANCE
from mri_guard.anomaly.residual import smooth
from mri_guard.errors import UnfitModelError
from mri_guard.metrics.ranking import average_precision
from mri_guard.records import Record
from mri_guard.training.batches import Batch, Groups

SMOOTHING_PX = 1.5


class Fitness(Record):
    """How a model stands between collapse and identity.

    Attributes:
        held_out_ap: pixel average precision on held-out synthetic families.
        undone: share of the lesions' change that is in the residual: 0 for the identity, 1 for a
            restoration that gives back what was there before.
        active: active channels of each level, finest first.
        channels: channels of each level.
        nats_per_pixel: rate of each level, nats a brain pixel.
    """

    held_out_ap: float
    undone: float
    active: tuple[int, ...]
    channels: tuple[int, ...]
    nats_per_pixel: tuple[float, ...]


def measure(model: Vae, batches: Sequence[Batch]) -> Fitness:
    """Fitness on held-out synthetic lesions; the model is left in evaluation mode."""
    model.eval()
    scores, means, nats, pixels = [], [], [], 0.0
    shared, changed = 0.0, 0.0
    with torch.inference_mode():
        for batch in batches:
            restored, posteriors = model(batch.window, batch.position)
            residual = batch.seen - restored
            change = batch.seen - batch.target
            shared += float((residual * change).sum())
            changed += float(change.square().sum())
            scores.append(_smoothed(residual, batch).abs())
            means.append([mean.transpose(0, 1).flatten(1) for mean, _ in posteriors])
            nats.append(torch.stack([level.sum() for level in rates(posteriors)]))
            pixels += float(batch.brain.sum())
    levels = [torch.cat(parts, 1) for parts in zip(*means, strict=True)]
    return Fitness(
        held_out_ap=_precision(scores, batches),
        undone=shared / max(changed, 1e-12),
        active=tuple(int((level.var(1) > ACTIVE_VARIANCE).sum()) for level in levels),
        channels=tuple(len(level) for level in levels),
        nats_per_pixel=tuple((torch.stack(nats).sum(0) / pixels).tolist()),
    )


def undone_share(batch: Batch, restored: torch.Tensor) -> torch.Tensor:
    """Of each window the share of its corruption that the restoration took back, (b,)."""
    change = batch.seen - batch.target
    shared = ((batch.seen - restored) * change).sum((1, 2, 3))
    return shared / change.square().sum((1, 2, 3)).clamp_min(1e-6)


def atlas_of(groups: Groups) -> HealthyStatistics:
    """Intensity by place in the lesion-free windows of the train split: no learning at all."""
    return HealthyStatistics.fit(
        (
            torch.from_numpy(subject.image[subject.centres]),
            torch.from_numpy(subject.brain[subject.centres]),
            torch.from_numpy(subject.positions[subject.centres]),
        )
        for group in groups
        for subject in group
    )


def atlas_ap(atlas: HealthyStatistics, batches: Sequence[Batch]) -> float:
    """Pixel average precision of the intensity's |z| at its place, on synthetic lesions."""
    scores = []
    for batch in batches:
        standard = atlas.standardise(batch.seen.flatten(0, 1), batch.place)
        scores.append(_smoothed(standard, batch).abs())
    return _precision(scores, batches)


def refuse_unfit(
    fitness: Fitness, trivial_ap: float, smallest_nats: float, smallest_undone: float
) -> None:
    """Raises where a model must not be shipped.

    Args:
        fitness: of the model.
        trivial_ap: average precision that needs no model.
        smallest_nats: rate below which the latents are taken to say nothing, nats a brain pixel.
        smallest_undone: share of the lesions' change below which they are taken to be copied.

    Raises:
        UnfitModelError: posterior collapse, or the identity.
    """
    total = sum(fitness.nats_per_pixel)
    if total < smallest_nats or not any(fitness.active):
        raise UnfitModelError(
            f"posterior collapse: {total:.4f} nats a brain pixel, {smallest_nats:g} wanted; "
            f"active channels {fitness.active} of {fitness.channels}"
        )
    if not (fitness.undone >= smallest_undone and fitness.held_out_ap > trivial_ap):
        raise UnfitModelError(
            f"lesions are copied: {fitness.undone:.2f} of their change undone, {smallest_undone:g} "
            f"wanted; average precision {fitness.held_out_ap:.3f} on held-out synthetic lesions, "
            f"more than the atlas's {trivial_ap:.3f} wanted"
        )


def _smoothed(values: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Smoothed in the plane, slice by slice, (b * r, x, y)."""
    brain = batch.brain.flatten(0, 1) > 0
    return smooth(values.reshape(brain.shape), brain, SMOOTHING_PX, 0)


def _precision(scores: Sequence[torch.Tensor], batches: Sequence[Batch]) -> float:
    inside = [batch.brain.flatten(0, 1) > 0 for batch in batches]
    truth = [
        batch.lesion.flatten(0, 1)[mask] >= 0.5 for batch, mask in zip(batches, inside, strict=True)
    ]
    values = [score[mask] for score, mask in zip(scores, inside, strict=True)]
    return average_precision(
        torch.cat(truth).cpu().numpy(), torch.cat(values).double().cpu().numpy()
    )
