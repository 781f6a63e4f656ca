"""From bytes to volumes."""
