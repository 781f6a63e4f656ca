"""Tests of mri_guard.training."""
