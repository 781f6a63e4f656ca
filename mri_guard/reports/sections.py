"""The report's sections: what each asks, which figures lead it, and which command fills it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Section:
    """A section for one kind of evidence.

    Attributes:
        kind: of the evidence.
        title: heading.
        asks: the question its figures answer.
        leads: name patterns of the figures it opens with, most telling first.
        command: that makes such evidence.
    """

    kind: str
    title: str
    asks: str
    leads: tuple[str, ...] = ()
    command: str = ""


SECTIONS = (
    Section(
        "detection",
        "Detection",
        "How well are lesions found, beside what finds them without a model?",
        (
            "pixel_ap",
            "best_dice",
            "matched_slice_auroc",
            "position_matched_slice_auroc",
            "within_subject_auroc",
            "sensitivity_at_90_specificity",
            "lesions_up_to_50_found",
            "scans_not_examined",
        ),
        "mri-guard evaluate detection --manifest CSV --out detection.json",
    ),
    Section(
        "robustness",
        "Robustness",
        "What do attacks on purpose do: lesions hidden, false alarms raised?",
        (
            "clean_auroc",
            "robust_auroc_both_[1-9]*_255",
            "sensitivity_evade_[1-9]*_255_at_90_specificity",
            "false_positive_rate_alarm_[1-9]*_255_at_90_specificity",
            "robust_auroc_both_0_[1-9]_255",
            "sanity_checks_failed",
        ),
        "mri-guard evaluate robustness --manifest CSV --out robustness.json",
    ),
    Section(
        "fairness",
        "Fairness",
        "Do figures differ between groups of patients by more than chance explains?",
        (
            "slice_sensitivity",
            "slice_worst_gap_sensitivity",
            "slice_worst_gap_sensitivity_expected",
            "slice_sensitivity_*_255",
            "scan_sensitivity*",
            "*worst_gap*",
            "*gap*",
            "*auroc*",
            "*false_positive_rate*",
        ),
        "mri-guard evaluate fairness --manifest CSV --out fairness.json",
    ),
    Section(
        "calibration",
        "Calibration",
        "Do thresholds keep what they promise on scans they were not made from?",
        (
            "false_positive_rate",
            "sensitivity",
            "quarantine_rate",
            "perturbation_false_alarm_rate",
            "false_positive_rate_at_0.05",
            "sensitivity_at_0.05",
            "*calibration_error*",
            "*brier*",
        ),
        "mri-guard evaluate calibration --manifest CSV --out calibration.json",
    ),
    Section(
        "sanitization",
        "Sanitization",
        "What do the checks before the model catch, refuse wrongly and cost?",
        ("caught", "named", "false_rejects", "clean_ms"),
        "mri-guard evaluate sanitization --manifest CSV --out sanitization.json",
    ),
    Section(
        "perturbation",
        "Perturbation detectors",
        "What do the detectors catch, hold wrongly, and miss of one who knows them?",
        ("false_alarms", "*caught*", "*catch_rate*"),
        "mri-guard evaluate perturbation --manifest CSV --out perturbation.json",
    ),
    Section(
        "certification",
        "Certification",
        "Which lesions are found whatever is done to the image up to an L2 norm?",
        ("certified*", "*certified*"),
        "mri-guard evaluate certification --manifest CSV --out certification.json",
    ),
    Section(
        "risks",
        "Other risks of a generative model",
        "Does the network still say something, give back its training, copy what it should remove, "
        "and does its map depend on it?",
        (
            "lesion_contrast_kept",
            "memorisation_pull",
            "membership_inference_auroc_score",
            "residual_rank_correlation_all_weights_anew",
            "planted_held_out_lesion_contrast_kept",
            "membership_inference_auroc_*",
            "membership_inference_tpr_at_1_fpr_*",
            "map_rank_correlation_*",
            "active_units_level_*",
        ),
        "mri-guard evaluate risks --manifest CSV --out risks.json",
    ),
    Section(
        "poisoning",
        "Data poisoning",
        "What does detection lose when lesions are hidden among what training takes for healthy?",
        (
            "matched_slice_auroc_lost_at_*",
            "pixel_ap_lost_at_*",
            "sensitivity_at_90_specificity_lost_at_*",
        ),
        "mri-guard evaluate poisoning --manifest CSV --evaluate-manifest CSV --out poisoning.json",
    ),
    Section(
        "reliance",
        "Reliance of readers",
        "Do readers follow the model, and where it is wrong?",
        (
            "over_reliance_rate*",
            "under_reliance_rate*",
            "switch_towards_rate*",
            "override_rate*",
            "agreement_rate*",
        ),
        "mri-guard reliance --truth CSV --out reliance.json",
    ),
)
"""In the order of the report. Evidence of another kind gets a plain section after them."""


def section_of(kind: str) -> Section:
    """The kind's own section, or a plain one."""
    own = (section for section in SECTIONS if section.kind == kind)
    return next(own, Section(kind, kind.replace("_", " ").replace("-", " ").capitalize(), ""))


def leading(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names that the patterns match, by pattern and then as they come; each once."""
    known = list(names)
    found = [name for pattern in patterns for name in known if fnmatchcase(name, pattern)]
    return list(dict.fromkeys(found))
