"""What a score means among healthy scans, with guarantees."""
