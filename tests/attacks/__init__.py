"""Tests of mri_guard.attacks."""
