"""Checks of one instance before any pixel is decoded, cheapest first."""
