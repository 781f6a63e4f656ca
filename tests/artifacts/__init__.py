"""Tests of mri_guard.artifacts."""
