"""Manifest and bundle to evidence."""
