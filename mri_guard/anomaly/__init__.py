"""The VAE, its anomaly map and its scores."""
