"""From a manifest of scans to a bundle."""
