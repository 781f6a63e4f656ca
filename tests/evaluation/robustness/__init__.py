"""Tests of mri_guard.evaluation.robustness."""
