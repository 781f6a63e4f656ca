"""One perturbation detector a file."""
