"""The card in the form of the Coalition for Health AI."""

from mri_guard.reports.applied_model_card import NOT_STATED, applied_model_card
from tests.reports.toys import metric


def test_has_the_parts_of_the_form_in_its_order() -> None:
    card = applied_model_card("toy", "1", {}, {}, None)
    assert [part.title.partition(":")[0] for part in card] == [
        "Basic information",
        "Release information",
        "Uses and directions",
        "Warnings",
        "Trust ingredients",
        "Trust ingredients",
        "Key metrics",
        "Resources",
    ]


def test_says_what_the_bundle_says_and_fills_in_nothing_else() -> None:
    own = {"Intended use": "Toys alone.", "Limits": "Many."}
    entries = {
        label: text
        for part in applied_model_card("toy", "1", own, {}, None)
        for label, text in part.entries.items()
    }
    assert entries["Intended use and workflow"] == "Toys alone."
    assert entries["Known risks and limitations"] == "Many."
    for label in ("Model developer", "Clinical risk level", "Regulatory approval", "Model type"):
        assert entries[label] == NOT_STATED
    assert entries["Fairness and equity"] == "No evidence here of: fairness."


def test_names_leading_figures_with_interval_and_n() -> None:
    figures = {"found": ("detection", {"pixel_ap": metric(), "other": metric()})}
    (metrics,) = [
        part for part in applied_model_card("toy", "1", {}, figures, None) if "Key" in part.title
    ]
    said = metrics.entries["Usefulness, usability and efficacy"]
    assert said == "- found, pixel ap: 0.800 (0.700 to 0.900; n = 17 patients)"
