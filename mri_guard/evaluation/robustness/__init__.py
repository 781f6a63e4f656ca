"""What attacks on purpose make of a bundle's scores: `command.py` tells it from the beginning."""

from mri_guard.evaluation.robustness.command import evaluate_robustness, table
from mri_guard.evaluation.robustness.plan import OF_255, Plan, goals, suite
from mri_guard.evaluation.robustness.watched import hidden

__all__ = ["OF_255", "Plan", "evaluate_robustness", "goals", "hidden", "suite", "table"]
