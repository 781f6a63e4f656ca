"""Tests of mri_guard.preprocess."""
