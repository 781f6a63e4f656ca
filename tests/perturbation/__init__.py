"""Tests of mri_guard.perturbation."""
