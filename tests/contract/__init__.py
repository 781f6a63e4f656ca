"""Tests that all siblings of a folder must pass."""
