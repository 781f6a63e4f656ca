"""Tests of mri_guard.calibration."""
