"""Tests of mri_guard.anomaly."""
