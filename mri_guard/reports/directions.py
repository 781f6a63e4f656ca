"""Which way a figure is better, by its name. The one place that says so."""

from enum import StrEnum
from fnmatch import fnmatchcase


class Better(StrEnum):
    """The way in which a figure is better."""

    HIGHER = "higher"
    LOWER = "lower"
    UNKNOWN = "unknown"
    """Shown, and never a reason to refuse a release."""


DIRECTIONS: tuple[tuple[Better, tuple[str, ...]], ...] = (
    # What only describes: the promised band, the data, the baselines and what others do.
    (
        Better.UNKNOWN,
        (
            "*_predicted",
            "position_*",
            "intensity_*",
            "robust_z_*",
            "equalised_*",
            "asymmetry_*",
            "atlas_*",
            "denoising_autoencoder_*",
            "dense_vae_*",
            "*_expected*",
            "*_over_seeds",
            "*_by_chance*",
            "*_without_model",
            "*_without_network",
        ),
    ),
    # Of attacks and alarms, and yet better the higher.
    (Better.HIGHER, ("queries_to_success*", "*catch_rate*", "*caught*")),
    (
        Better.LOWER,
        (
            "*false_positive_rate*",
            "*false_flag*",
            "*false_alarm*",
            "*false_rejects*",
            "*healthy_scans_with_flagged_slice*",
            "*success*",
            "*calibration_error*",
            "ece*",
            "*_ece*",
            "*brier*",
            "*gap*",
            "*quarantine_rate*",
            "*rejection_rate*",
            "*artifact_alarms*",
            "*membership_inference*",
            "*lesion_contrast_kept*",
            "*_all_weights_anew",
            "*_lost_at_*",
            "over_reliance_rate*",
            "under_reliance_rate*",
            "*scans_not_examined*",
            "*sanity_checks_failed*",
            "*_ms",
            "*_ms_*",
            "seconds_*",
            "detection_delay*",
        ),
    ),
    (
        Better.HIGHER,
        (
            "*_minus_*",
            "*auroc*",
            "*pixel_ap*",
            "*best_dice*",
            "*sensitivity*",
            "*specificity*",
            "*_found",
            "named",
            "*resolution*",
            "active_*",
            "memorisation_pull",
            "relative_ai_reliance*",
            "relative_self_reliance*",
        ),
    ),
)
"""The first pattern that fits counts."""


def better(name: str) -> Better:
    """Which way the figure of this name is better."""
    for direction, patterns in DIRECTIONS:
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return direction
    return Better.UNKNOWN
