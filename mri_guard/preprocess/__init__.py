"""The model's grid, the brain, the model's intensity."""
