"""Nothing reaches the model that no check has vouched for."""
