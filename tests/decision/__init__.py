"""Tests of mri_guard.decision."""
