"""Input transformations and other defences."""
