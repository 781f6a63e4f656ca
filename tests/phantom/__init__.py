"""Tests of mri_guard.phantom."""
