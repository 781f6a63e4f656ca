"""Checks of the decoded volume."""
