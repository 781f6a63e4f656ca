"""The model card: what a bundle was made from, what it is for, and where it fails."""

from typing import Any

import numpy as np

from mri_guard.bundle import BundleConfig, Calibration, PolicyConfig
from mri_guard.calibration import ScoreCalibrator, exact_threshold
from mri_guard.calibration.second_look import SecondLookScores
from mri_guard.sanitize.limits import Limits

CARD = """# Model card: {name} {version}

## Intended use

Research. Finds slices and places of an adult brain MRI ({contrasts}, axial, whole head) that look
unlike what the model learnt, and orders scans for a radiologist. Not a medical device; no
diagnosis; not for children, other contrasts, or images after contrast agent.

## Learnt from

{data}

## Training

Root seed {seed}. {learnt_scans} scans{synthetic}, {learnt_windows} lesion-free windows;
healthy statistics from {statistics_scans} scans. Checkpoint of step {step}, chosen by synthetic
lesion families that training never drew; no real lesion was looked at to choose anything.
{adversary}

{score}

| figure | value |
|---|---|
| pixel average precision on held-out synthetic families | {held_out_ap:.3f} |
| the same for an atlas without learning | {atlas_ap:.3f} |
| rate of each level, nats a brain pixel, finest first | {nats} |
| active latent channels of each level | {active} |

Synthetic lesions of one family each, on held-out brains; a family below the atlas is one that this
model does not find:

| family | trained on | pixel AP, model | atlas | |
|---|---|---|---|---|
{families}

## Calibration

{calibration}

## Limits

- The guarantee is for clean scans that are exchangeable with the calibration scans. A new
  scanner, protocol or population needs its own calibration.
- Perturbation detectors notice attackers who do not know them; one who does gets past them.
- What looks like a healthy variant to the model (iso-intense lesions, symmetric change, atrophy)
  is missed; white matter lesions of old age are flagged, since the model has hardly seen them.
- Detection figures with intervals, beside the baselines: `README.md` and the evidence files of
  `mri-guard evaluate detection`."""


CALIBRATION = "\n\n## Calibration\n\n"
LIMITS = "\n\n## Limits\n\n"
DETECTORS = "\n\n## Perturbation detectors\n\n"
SECOND_LOOK = "\n\n## Second look\n\n"
VOXELS = "\n\n## Voxel checks\n\n"
SECTIONS = (DETECTORS, SECOND_LOOK, VOXELS)
"""What is learnt or calibrated apart from the model, in the card's order."""


def model_card(
    config: BundleConfig, calibration: Calibration, report: dict[str, Any], data: str
) -> str:
    """The card, Markdown.

    Args:
        config: of the bundle.
        calibration: of the bundle.
        report: of the training run.
        data: what is to be said of the data, with licences, Markdown.
    """
    policy, fitness = config.policy, report["fitness"]
    made = report.get("synthetic_heads", 0)
    card = CARD.format(
        name=config.name,
        version=config.version,
        contrasts=", ".join(config.contrasts),
        data=data.strip(),
        seed=config.seed,
        learnt_scans=report["learnt_from"]["scans"],
        synthetic=f" ({made} of them synthesised from label maps)" if made else "",
        learnt_windows=report["learnt_from"]["lesion_free_windows"],
        statistics_scans=report["healthy_statistics_from"]["scans"],
        step=report["chosen_step"],
        held_out_ap=fitness["held_out_ap"],
        atlas_ap=report["atlas_held_out_ap"],
        nats=", ".join(f"{value:.3f}" for value in fitness["nats_per_pixel"]),
        active=", ".join(
            f"{active}/{channels}"
            for active, channels in zip(fitness["active"], fitness["channels"], strict=True)
        ),
        families="\n".join(
            f"| {name} | {'yes' if of['trained_on'] else 'no'} | {of['model_ap']:.3f} "
            f"| {of['atlas_ap']:.3f} | {'' if of['model_ap'] > of['atlas_ap'] else 'fails'} |"
            for name, of in report["families"].items()
        ),
        calibration=thresholds(calibration, policy),
        adversary=_adversary(report["train_config"]["adversary"]),
        score=_score(config),
    )
    card += DETECTORS + detectors(calibration, policy)
    return card if calibration.voxels is None else card + VOXELS + voxel_limits(calibration.voxels)


def _adversary(settings: dict[str, Any] | None) -> str:
    """What a card says of adversarial augmentation."""
    if settings is None:
        return "No window was attacked in training."
    return (
        f"{settings['share']:.0%} of the windows were attacked in training (goal: "
        f"{settings['goal']}): pixels by up to {settings['epsilon']:g} of the scale on which the "
        f"brain's median is 0.7, a smooth field by up to {settings['bias']:g} in its logarithm."
        + (
            f" A nat by which pixels moved the posterior cost {settings['smooth']:g}."
            if settings["smooth"]
            else ""
        )
    )


def _score(config: BundleConfig) -> str:
    """What a card says of the way from the map to a score."""
    fusion = config.vae.fusion
    field = (
        "No smooth field is taken out of the image."
        if fusion.field_order is None
        else f"A smooth field, polynomial of order {fusion.field_order} in its logarithm, is "
        "fitted to what looks healthy and taken out of the intensity that the atlas judges."
    )
    return (
        f"A slice's score is the mean of the highest {config.vae.slice_top_share:.0%} of its map, "
        f"{fusion.own_share:.0%} of whose unit is the scan's own spread. {field}"
    )


def thresholds(calibration: Calibration, policy: PolicyConfig) -> str:
    """What a card says of the thresholds and of what they are made from, Markdown."""
    calibrator = ScoreCalibrator.fit(
        calibration.healthy_scores,
        policy.alpha,
        policy.delta,
        calibration.highest_slices,
        workload=policy.workload,
    )
    slices = (
        ""
        if calibrator.slice_threshold is None
        else f" A slice is flagged above {calibrator.slice_threshold:.4f}: the same promise, for "
        "the share of healthy scans that have any such slice."
    )
    groups = "\n".join(
        f"| {group} | {len(scores)} | {min(scores):.3f} | {sorted(scores)[len(scores) // 2]:.3f} "
        f"| {max(scores):.3f} |"
        for group, scores in sorted(calibration.healthy_scores.items())
    )
    return (
        f"{calibrator.guarantee}. Threshold {calibrator.threshold:.4f}.{slices}\n\n"
        f"| healthy scores from | n | lowest | median | highest |\n|---|---|---|---|---|\n{groups}"
    )


def with_site(card: str, before: BundleConfig, made: BundleConfig, calibration: Calibration) -> str:
    """A card with its thresholds replaced by those of a site's own scans, and its version; what it
    said of a second look is taken out.

    Args:
        card: of another bundle.
        before: of that bundle.
        made: of this one.
        calibration: of this one.
    """
    said = "Calibrated on a site's own healthy scans, not on those named above. " + thresholds(
        calibration, made.policy
    )
    if calibration.labelled is not None:
        said += (
            f"\n\nA probability of abnormality (Venn-Abers) is given from "
            f"{len(calibration.labelled.healthy)} healthy and "
            f"{len(calibration.labelled.abnormal)} abnormal scans of the site. It holds where "
            "abnormal scans are as frequent as among these."
        )
    head, _, rest = card.partition(CALIBRATION)
    _, limits, rest = rest.partition(LIMITS)
    card = head + CALIBRATION + said + limits + rest
    return _with(card, SECOND_LOOK, None, before, made.version)


def with_limits(card: str, before: BundleConfig, now: str, limits: Limits) -> str:
    """A card with the limits of its voxel checks replaced, and its version.

    Args:
        card: of another bundle.
        before: of that bundle.
        now: version of this one.
        limits: of this one.
    """
    return _with(card, VOXELS, voxel_limits(limits), before, now)


def with_second_look(card: str, before: BundleConfig, now: str, scores: SecondLookScores) -> str:
    """A card with what it says of the second look replaced, and its version.

    Args:
        card: of another bundle.
        before: of that bundle.
        now: version of this one.
        scores: that the second look is calibrated on.

    Raises:
        NotCalibratedError: too few scores.
    """
    look, count = scores.config, sum(map(len, scores.attacked.values()))
    attacked, median = (
        exact_threshold(
            [score for some in by.values() for score in some],
            before.policy.alpha,
            before.policy.delta,
        )
        for by in (scores.attacked, scores.smoothed)
    )
    said = (
        f"An unusual score up to {attacked:.4f} is looked at again: that is the threshold of the "
        f"same rate for {count} healthy calibration scans under an alarm attack (PGD, "
        f"{look.steps} steps, at most {look.epsilon:.4f} of normalised intensity a voxel). The "
        f"second look is the median score of {look.draws} draws under Gaussian noise of "
        f"{look.sigma:g}; its own threshold from the same scans, not attacked, is {median:.4f}. "
        f"Where the score's lower bound, for every change of an L2 norm up to {look.radius:g}, is "
        "not above it, the scan is still reviewed, with LOW priority. A stronger attack than that "
        "one may go beyond the first of these thresholds."
    )
    return _with(card, SECOND_LOOK, said, before, now)


def with_detectors(card: str, before: BundleConfig, now: str, calibration: Calibration) -> str:
    """A card with its perturbation detectors replaced, and its version.

    Args:
        card: of another bundle.
        before: of that bundle.
        now: version of this one.
        calibration: of this one.
    """
    return _with(card, DETECTORS, detectors(calibration, before.policy), before, now)


def _with(card: str, section: str, text: str | None, before: BundleConfig, now: str) -> str:
    """A card with one of its last sections replaced or added, in their order, or taken out (None),
    and its version.
    """
    head = card.replace(f"{before.name} {before.version}", f"{before.name} {now}", 1)
    texts: dict[str, str | None] = {}
    for one in reversed(SECTIONS):
        head, found, rest = head.partition(one)
        if found:
            texts[one] = rest
    texts[section] = text
    return head + "".join(one + said for one in SECTIONS if (said := texts.get(one)) is not None)


def detectors(calibration: Calibration, policy: PolicyConfig) -> str:
    """What a card says of the perturbation detectors, Markdown."""
    rows = [
        f"| {name} | {np.median(some):.4g} | {max(some):.4g} |"
        for name, some in calibration.detectors.items()
        if some
    ]
    count = max((len(some) for some in calibration.detectors.values()), default=0)
    return (
        f"Together they hold at most {policy.perturbation_alpha:g} of clean scans, if exchangeable "
        f"with the n = {count} calibration scans. They notice attackers who do not know them and "
        "count for nothing against those who do.\n\n"
        "| statistic of clean scans | median | largest |\n|---|---|---|\n" + "\n".join(rows)
    )


def voxel_limits(limits: Limits) -> str:
    """What a card says of the limits of the voxel checks, Markdown."""
    rows = [
        f"| {name} | {normal.centre:.4g} | {normal.spread:.3g} "
        f"| {normal.centre + limits.highest * normal.spread:.4g} |"
        for name, normal in limits.normals.items()
    ]
    head = "| measure | usual | spread | held above |\n|---|---|---|---|"
    return f"{limits.guarantee[0].upper()}{limits.guarantee[1:]}.\n\n{head}\n" + "\n".join(rows)
