"""Worst case: one attack a file."""
