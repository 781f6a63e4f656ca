from typing import Any

from mri_guard.anomaly import FusionConfig, VaeConfig
from mri_guard.bundle import BundleConfig, Calibration, PolicyConfig
from mri_guard.records import Contrast
from mri_guard.training.adversary import Adversary
from mri_guard.training.card import model_card

CONFIG = BundleConfig(
    name="test",
    version="1",
    contrasts=(Contrast.FLAIR,),
    vae=VaeConfig(),
    policy=PolicyConfig(),
    seed=3,
)
REPORT: dict[str, Any] = {
    "train_config": {"adversary": None},
    "learnt_from": {"scans": 7, "lesion_free_windows": 70},
    "healthy_statistics_from": {"scans": 5},
    "chosen_step": 100,
    "fitness": {
        "held_out_ap": 0.5,
        "nats_per_pixel": [0.1],
        "active": [2],
        "channels": [4],
    },
    "atlas_held_out_ap": 0.25,
    "families": {"texture": {"trained_on": 0.0, "model_ap": 0.1, "atlas_ap": 0.2}},
}
HUNDRED = {"phantom": tuple(float(i) for i in range(100))}


def test_names_the_slice_threshold_where_slices_were_calibrated_on() -> None:
    slices = {"phantom": tuple(10.0 * score for score in HUNDRED["phantom"])}
    with_slices, without = (
        model_card(
            CONFIG,
            Calibration(healthy_scores=HUNDRED, detectors={}, highest_slices=highest),
            REPORT,
            "Phantoms.",
        )
        for highest in (slices, None)
    )
    assert "Threshold 98.0000. A slice is flagged above 980.0000: " in with_slices
    assert "Threshold 98.0000.\n" in without
    assert "flagged above" not in without


def test_names_the_families_that_the_model_does_not_find() -> None:
    card = model_card(
        CONFIG, Calibration(healthy_scores=HUNDRED, detectors={}), REPORT, "Phantoms."
    )
    assert "| texture | no | 0.100 | 0.200 | fails |" in card


def test_tells_what_the_model_was_attacked_with_in_training() -> None:
    calibration = Calibration(healthy_scores=HUNDRED, detectors={})
    settings = Adversary(share=0.5, epsilon=0.04).model_dump(mode="json")
    opposed = model_card(
        CONFIG, calibration, REPORT | {"train_config": {"adversary": settings}}, "Phantoms."
    )
    assert "50% of the windows were attacked in training (goal: score)" in opposed
    assert "No window was attacked" in model_card(CONFIG, calibration, REPORT, "Phantoms.")


def test_tells_how_a_map_becomes_a_score() -> None:
    calibration = Calibration(healthy_scores=HUNDRED, detectors={})
    fusion = FusionConfig(own_share=0.2, field_order=3)
    levelled = CONFIG.model_copy(update={"vae": VaeConfig(fusion=fusion, slice_top_share=0.02)})
    card = model_card(levelled, calibration, REPORT, "Phantoms.")
    assert "highest 2% of its map, 20% of whose unit is the scan's own spread" in card
    assert "polynomial of order 3" in card
    assert "No smooth field is taken out" in model_card(CONFIG, calibration, REPORT, "Phantoms.")
