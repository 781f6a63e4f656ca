"""What a bundle does for each group of people: `command.py` tells it from the beginning."""

from mri_guard.evaluation.fairness.command import evaluate_fairness, site_thresholds, table
from mri_guard.evaluation.fairness.comparison import compare_fairness, comparison_table
from mri_guard.evaluation.fairness.forest import forest

__all__ = [
    "compare_fairness",
    "comparison_table",
    "evaluate_fairness",
    "forest",
    "site_thresholds",
    "table",
]
