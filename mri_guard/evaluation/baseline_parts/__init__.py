"""What baselines have in common: what they learn from, and how a map becomes scores."""
