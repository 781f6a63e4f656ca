"""Checks of all headers of a series together."""
