"""MRI Guard: an anomaly detector for brain MRI that a hospital can run without fooling itself."""
