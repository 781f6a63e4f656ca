"""Release, review or quarantine."""
