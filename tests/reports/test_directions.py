"""Which way figures are better."""

import json
from pathlib import Path

import pytest

from mri_guard.reports.directions import Better, better

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence"


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("pixel_ap", Better.HIGHER),
        ("matched_slice_auroc", Better.HIGHER),
        ("pixel_ap_minus_position", Better.HIGHER),
        ("position_slice_auroc", Better.UNKNOWN),
        ("sensitivity_evade_4_255_at_90_specificity", Better.HIGHER),
        ("false_positive_rate_alarm_4_255_at_90_specificity", Better.LOWER),
        ("false_positive_rate_at_0.05_predicted", Better.UNKNOWN),
        ("certified_sensitivity_l2_0_25", Better.HIGHER),
        ("certified_specificity_l2_0_25", Better.HIGHER),
        ("tensor_success_evade_4_255", Better.LOWER),
        ("clean_ms", Better.LOWER),
        ("caught", Better.HIGHER),
        ("worst_gap_sensitivity", Better.LOWER),
        ("detector_catch_rate_evade_4_255", Better.HIGHER),
        ("detector_catch_rate_of_successful_evade_4_255", Better.HIGHER),
        ("specificity", Better.HIGHER),
        ("active_units_level_0", Better.HIGHER),
        ("kl_level_0_nats_a_voxel", Better.UNKNOWN),
        ("memorisation_pull", Better.HIGHER),
        ("membership_inference_auroc_error", Better.LOWER),
        ("membership_inference_auroc_without_model", Better.UNKNOWN),
        ("planted_held_out_lesion_contrast_kept_up_to_50_px", Better.LOWER),
        ("residual_rank_correlation_all_weights_anew", Better.LOWER),
        ("map_ssim_without_network", Better.UNKNOWN),
        ("sensitivity_at_90_specificity_lost_at_5_percent_poison", Better.LOWER),
        ("matched_slice_auroc_at_5_percent_poison", Better.HIGHER),
        ("over_reliance_rate_shown_less_blinded", Better.LOWER),
        ("relative_self_reliance_blinded", Better.HIGHER),
        ("override_rate", Better.UNKNOWN),
        ("decision_seconds_blinded", Better.UNKNOWN),
        ("something_else", Better.UNKNOWN),
    ],
)
def test_way(name: str, way: Better) -> None:
    assert better(name) is way


def test_most_figures_of_the_model_that_are_shipped_have_one() -> None:
    names = {
        name
        for path in EVIDENCE.glob("*.json")
        if isinstance(document := json.loads(path.read_text()), dict)
        and document.get("kind") in {"detection", "robustness", "calibration", "sanitization"}
        for name in document["metrics"]
    }
    baselines = ("position_", "intensity_", "robust_z_", "equalised_", "asymmetry_", "atlas_")
    own = [name for name in names if not name.startswith((*baselines, "denoising_autoencoder_"))]
    unknown = [name for name in own if better(name) is Better.UNKNOWN]
    assert len(unknown) < len(own) / 5, unknown
