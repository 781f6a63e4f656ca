"""Tests of mri_guard.defences."""
