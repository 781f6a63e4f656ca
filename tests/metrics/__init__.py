"""Tests of mri_guard.metrics."""
