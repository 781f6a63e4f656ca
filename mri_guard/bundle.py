"""Assembles a kit from a bundle on disk."""
