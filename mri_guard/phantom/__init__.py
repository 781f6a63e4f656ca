"""Synthetic heads whose truth is known, from the ICBM152 tissue maps."""
